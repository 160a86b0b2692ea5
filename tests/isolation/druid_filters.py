"""Druid's native filters, interpreted: written from Druid's documentation alone, to judge what the compiler emits.

https://druid.apache.org/docs/33.0.0/querying/filters has the filters and their three-valued logic: a comparison with a
row that has no value is unknown, which `and`, `or` and `not` carry on, and which matches nothing in the end.
https://druid.apache.org/docs/33.0.0/querying/multi-value-dimensions: a row matches when any of its values does.

A filter that is not known here raises KeyError: better no verdict than a wrong one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

Scalar = str | int | float
Row = Mapping[str, Scalar | Sequence[str] | None]
Native = Mapping[str, Any]
Truth = bool | None
"""None is unknown."""


def matches(native: Native, row: Row) -> bool:
    """Whether the row is in the query: what is unknown is not."""
    return truth(native, row) is True


def truth(native: Native, row: Row) -> Truth:
    """What the filter says of the row."""
    return _FILTERS[native["type"]](native, row)


def _and(native: Native, row: Row) -> Truth:
    found = [truth(each, row) for each in native["fields"]]
    return False if False in found else None if None in found else True


def _or(native: Native, row: Row) -> Truth:
    found = [truth(each, row) for each in native["fields"]]
    return True if True in found else None if None in found else False


def _not(native: Native, row: Row) -> Truth:
    found = truth(native["field"], row)
    return None if found is None else not found


def _values(row: Row, column: str) -> list[Scalar]:
    value = row[column]
    if value is None:
        return []
    return [value] if isinstance(value, str | int | float) else list(value)


def _any(row: Row, column: str, test: Callable[[Scalar], bool]) -> Truth:
    values = _values(row, column)
    return any(test(value) for value in values) if values else None


def _null(native: Native, row: Row) -> Truth:
    return not _values(row, native["column"])


def _selector(native: Native, row: Row) -> Truth:
    wanted = native["value"]
    if wanted is None:
        return not _values(row, native["dimension"])
    return _any(row, native["dimension"], lambda value: _text(value) == _text(wanted))


def _in(native: Native, row: Row) -> Truth:
    wanted = native["values"]
    if None in wanted and not _values(row, native["dimension"]):
        return True
    texts = {_text(each) for each in wanted if each is not None}
    return _any(row, native["dimension"], lambda value: _text(value) in texts)


def _equals(native: Native, row: Row) -> Truth:
    wanted = _typed(native["matchValueType"])(native["matchValue"])
    return _any(row, native["column"], lambda value: _typed(native["matchValueType"])(value) == wanted)


def _range(native: Native, row: Row) -> Truth:
    key = _order(native["matchValueType"])
    lower, upper = (key(native[side]) if native.get(side) is not None else None for side in ("lower", "upper"))

    def within(value: Scalar) -> bool:
        found = key(value)
        above = lower is None or (found > lower if native.get("lowerOpen") else found >= lower)
        below = upper is None or (found < upper if native.get("upperOpen") else found <= upper)
        return above and below

    return _any(row, native["column"], within)


def _bound(native: Native, row: Row) -> Truth:
    """Only with numeric ordering. Without a lower bound it matches a row without a value."""
    assert native["ordering"] == "numeric"
    lower, upper = (float(native[side]) if side in native else None for side in ("lower", "upper"))

    def within(value: Scalar) -> bool:
        number = float(value)
        above = lower is None or (number > lower if native.get("lowerStrict") else number >= lower)
        below = upper is None or (number < upper if native.get("upperStrict") else number <= upper)
        return above and below

    found = _any(row, native["dimension"], within)
    return lower is None if found is None else found


def _like(native: Native, row: Row) -> Truth:
    pattern = _pattern(native["pattern"], native.get("escape"))
    return _any(row, native["dimension"], lambda value: pattern.fullmatch(_text(value)) is not None)


@lru_cache(maxsize=10_000)
def _pattern(like: str, escape: str | None) -> re.Pattern[str]:
    parts, characters = [], iter(like)
    for character in characters:
        if character == escape:
            parts.append(re.escape(next(characters, "")))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else str(value)


def _typed(kind: str) -> Callable[[Scalar], Scalar]:
    kinds: Mapping[str, Callable[[Scalar], Scalar]] = {"STRING": _text, "DOUBLE": float, "LONG": int}
    return kinds[kind]


def _order(kind: str) -> Callable[[Scalar], Any]:
    """Strings are ordered as Java orders them: by their UTF-16 code units."""
    if kind != "STRING":
        return _typed(kind)
    return lambda value: _text(value).encode("utf-16-be", "surrogatepass")


_FILTERS: Mapping[str, Callable[[Native, Row], Truth]] = {
    "and": _and,
    "or": _or,
    "not": _not,
    "false": lambda _native, _row: False,
    "istrue": lambda native, row: truth(native["field"], row) is True,
    "null": _null,
    "selector": _selector,
    "in": _in,
    "equals": _equals,
    "range": _range,
    "bound": _bound,
    "like": _like,
}
