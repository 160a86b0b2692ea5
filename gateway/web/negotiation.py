"""Content negotiation: which media type and which content coding a request prefers (RFC 9110, section 12). Pure.

An element that is malformed matches nothing. Of parameters only the weight `q` is used.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?", re.ASCII)


def preferred_media_type(accept: Sequence[str], offered: Iterable[str]) -> str | None:
    """Return the best media type for the Accept headers; None if none is acceptable.

    Of equally good ones, the first is returned, also if there is no preference.
    """
    weights = dict(_weights(accept))
    if not weights:
        return None if "".join(accept).strip(" ,") else next(iter(offered), None)
    best = max(offered, key=lambda media_type: _weight_of(media_type, weights))
    return best if _weight_of(best, weights) > 0 else None


def preferred_coding(accept_encoding: Sequence[str], offered: Sequence[str]) -> str | None:
    """Return the best content coding for the Accept-Encoding headers; None to send the content as it is."""
    weights = dict(_weights(accept_encoding))
    if not weights:
        return None
    anything = weights.get("*", 0.0)
    best = max(offered, key=lambda coding: weights.get(coding, anything))
    weight = weights.get(best, anything)
    # Unless it is listed, the content as it is has the lowest weight of all.
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weight_of(media_type: str, weights: Mapping[str, float]) -> float:
    """Return the weight of the most specific range that matches."""
    for media_range in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0


def _weights(headers: Sequence[str]) -> Iterator[tuple[str, float]]:
    for element in ",".join(headers).lower().split(","):
        name, *parameters = (part.strip() for part in element.split(";"))
        weight = "1"
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.rstrip() == "q":
                weight = value.lstrip()
        if name and _WEIGHT.fullmatch(weight):
            yield name, float(weight)
