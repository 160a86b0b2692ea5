"""The form that the ids of a data set's organizations have."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_LARGEST_LONG: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class IdFormat:
    """`uuid`, `integer`, or a regular expression that the whole id matches.

    `accepts` says whether a canonical id has the form. `pattern` describes it for other programs; they may accept more.
    """

    name: str
    pattern: str = field(compare=False)
    accepts: Callable[[str], bool] = field(compare=False, repr=False)


def id_format(name: str) -> IdFormat:
    """Return the format of a data set file's `id_format`; raises re.error for a wrong regular expression."""
    return _NAMED.get(name) or _matching(name, f"(?:{name})")


def _matching(name: str, pattern: str) -> IdFormat:
    compiled = re.compile(pattern, re.ASCII)
    return IdFormat(name, pattern, lambda text: compiled.fullmatch(text) is not None)


# No leading zeros: Druid reads 007 as 7. Not 0: older releases of Druid store it where a row has no number.
_INTEGER: Final = re.compile(r"[1-9][0-9]{0,18}")


def _is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None and int(text) <= _LARGEST_LONG


UUID: Final = _matching("uuid", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INTEGER: Final = IdFormat("integer", _INTEGER.pattern, _is_integer)

_NAMED: Final = {each.name: each for each in (UUID, INTEGER)}
NAMES: Final = tuple(_NAMED)
