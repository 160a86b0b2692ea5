"""Words of the messages about data set files."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

TYPE_NAMES: Mapping[type, str] = MappingProxyType(
    {
        dict: "a mapping (key: value)",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        type(None): "nothing",
    }
)


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return a question that proposes the most similar allowed name, or "" if none is similar."""
    matches = get_close_matches(name[:100], sorted(allowed), n=1, cutoff=0.6)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def shown(value: object) -> str:
    """Return a scalar as the file has it, without control characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}…")
    return TYPE_NAMES[type(value)]
