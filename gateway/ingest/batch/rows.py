"""The check of one row before Druid sees it. Pure.

Druid accepts many faulty rows and changes or loses them: of two objects on a line it reads one, of two equal keys the
last, of 2.9 for a long it stores 2, and it ignores a misspelt column. A row is valid if it is one JSON object with the
spec's columns and types, an owner, and a timestamp inside the intervals.

Most rows are valid. `RowSchema.is_certainly_valid` recognizes those at the speed of orjson, which does not detect
duplicate keys. `RowSchema.problem` reads the others again and finds what is wrong and where.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

import orjson

from gateway.catalog.model import Kind, TenantColumns
from gateway.druid.intervals import TimeRange
from gateway.ingest.batch.json_object import Member, NotOneObject, members, shown
from gateway.ingest.batch.timestamps import Parser

_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1
# Integers up to this one are exact as JSON numbers with a fraction, such as 2.0.
_EXACT_MAX: Final = 2**53
_ONLY_STRINGS: Final = frozenset({str})

Types = frozenset[type]
"""Types of JSON values in Python."""

# The values that each type of column takes. Only a column with several values takes lists.
_STRING: Final[Types] = frozenset({str, type(None)})
_STRINGS: Final[Types] = frozenset({str, type(None), list})
_LONG: Final[Types] = frozenset({int, type(None)})
_DOUBLE: Final[Types] = frozenset({int, float, type(None)})
_TYPES: Final[Mapping[str, Types]] = {"string": _STRING, "long": _LONG, "double": _DOUBLE, "float": _DOUBLE}
_NAMES: Final[Mapping[Types, str]] = {
    _STRING: "a string",
    _STRINGS: "a list of strings, a string",
    _LONG: "an integer",
    _DOUBLE: "a number",
}


def column_types(name: str, *, several: bool) -> Types | None:
    """Return the types of a column of Druid's type `name`; None for a type whose values are not checked."""
    return _STRINGS if several and name == "string" else _TYPES.get(name)


@dataclass(frozen=True, slots=True)
class RowProblem:
    """`column` is the position in the line, from 1, in characters."""

    column: int
    message: str


@dataclass(frozen=True, slots=True)
class RowSchema:
    """What rows must be like. `types` has all columns but the timestamp; None means that any value is valid."""

    timestamp: str
    timestamp_format: str
    parse_timestamp: Parser
    tenant: TenantColumns
    types: Mapping[str, Types | None]
    intervals: Sequence[TimeRange]

    def is_certainly_valid(self, line: bytes) -> bool:
        """Return True for most valid rows and for no invalid one."""
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            return False
        return (
            type(row) is dict
            and _has_distinct_keys(line, len(row))
            and self._is_inside(self.parse_timestamp(row.pop(self.timestamp, None)))
            and self._is_owner(row.get(self.tenant.column))
            and self._has_types(row)
        )

    def _is_owner(self, value: object) -> bool:
        """Whether an organization can have this id. Rows of any other owner would be invisible to every tenant."""
        wanted = int if self.tenant.kind is Kind.LONG else str
        return type(value) is wanted and self.tenant.id_format.accepts(str(value))

    def _has_types(self, row: Mapping[str, Any]) -> bool:
        types = self.types
        for key, value in row.items():
            kind = type(value)
            if kind not in (types.get(key) or ()):
                return False
            if kind is list:
                if not _ONLY_STRINGS.issuperset(map(type, value)):
                    return False
            elif kind is int and not _LONG_MIN <= value <= _LONG_MAX:
                return False
        return True

    def problem(self, line: bytes) -> RowProblem | None:
        """Return the first thing that is wrong with a row, or None if it is valid."""
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode()) + 1
            return RowProblem(column, f"byte 0x{line[error.start]:02x} is not UTF-8")
        try:
            found = tuple(members(text))
            # It rejects a little more, such as halves of surrogate pairs.
            orjson.loads(line)
        except NotOneObject as error:
            return RowProblem(error.at + 1, str(error))
        except orjson.JSONDecodeError as error:
            return RowProblem(error.colno, f"not JSON: {error.msg}")
        return next((RowProblem(at + 1, message) for at, message in self._problems(found)), None)

    def _problems(self, found: Sequence[Member]) -> Iterator[tuple[int, str]]:
        keys = set()
        for member in found:
            if member.key in keys:
                yield member.key_at, f"the key {shown(member.key)} is there twice"
            keys.add(member.key)
            if member.key != self.timestamp and member.key not in self.types:
                yield member.key_at, self._unknown(member.key)
            elif message := self._value_problem(member.key, member.value):
                yield member.value_at, message
        for key, what in ((self.timestamp, "timestamp"), (self.tenant.column, "owner")):
            if key not in keys:
                yield 0, f"the row has no {what} ({key})"

    def _unknown(self, key: str) -> str:
        close = get_close_matches(key, [self.timestamp, *self.types], n=1)
        return f"{shown(key)} is not a column of the spec" + (f"; did you mean {close[0]}?" if close else "")

    def _value_problem(self, key: str, value: Any) -> str | None:  # noqa: ANN401 - JSON of any shape
        if key == self.timestamp:
            return self._timestamp_problem(value)
        if key == self.tenant.column:
            if self._is_owner(value):
                return None
            return f"{key} is {shown(value)}; it must be one organization's id, {_wanted_id(self.tenant)}"
        types = self.types[key]
        return _type_problem(key, value, types) if types is not None else None

    def _timestamp_problem(self, value: Any) -> str | None:  # noqa: ANN401 - JSON of any shape
        moment = self.parse_timestamp(value)
        is_number = type(value) in {int, float}
        if moment is None:
            hint = "; for numbers, set timestampSpec.format to 'posix' (seconds) or 'millis'" if is_number else ""
            format_ = self.timestamp_format
            return f"{self.timestamp} is {shown(value)}, which is not a timestamp of format {format_}{hint}"
        if self._is_inside(moment):
            return None
        in_seconds = is_number and self._is_inside(value * 1000)
        hint = "; it is inside as seconds: set timestampSpec.format to 'posix'" if in_seconds else ""
        return f"{self.timestamp} is {shown(value)}, which is outside the spec's intervals{hint}"

    def _is_inside(self, moment: int | None) -> bool:
        return moment is not None and any(each.start <= moment < each.end for each in self.intervals)


def _type_problem(key: str, value: Any, types: Types) -> str | None:  # noqa: ANN401 - JSON of any shape
    kind = type(value)
    if kind is float and types is _LONG and value.is_integer() and abs(value) <= _EXACT_MAX:
        return None
    if kind not in types:
        return f"{key} is {shown(value)}; it must be {_NAMES[types]} or null"
    if kind is list:
        wrong = [each for each in value if type(each) is not str]
        return f"{key} contains {shown(wrong[0])}; a list may contain strings only" if wrong else None
    if types is _LONG and kind is int and not _LONG_MIN <= value <= _LONG_MAX:
        return f"{key} is {shown(value)}, which does not fit in 64 bits"
    return None


def _wanted_id(tenant: TenantColumns) -> str:
    match tenant.id_format.name:
        case "uuid":
            return "a UUID in lower case"
        case "integer":
            return f"a positive integer{' in quotes' if tenant.kind is Kind.STRING else ''}"
        case pattern:
            return f"a text that matches {pattern}"


def _has_distinct_keys(line: bytes, distinct: int) -> bool:
    """Return whether a JSON object without other objects in it has only `distinct` keys.

    Without escaped quotes, each quote starts or ends a string. So `":` is the end of a key, and each key ends so if no
    white space is in front of a colon.
    """
    if b"\r" in line or b"\t" in line or b" :" in line or (b"\\" in line and b'\\"' in line):
        return len(json.loads(line, object_pairs_hook=list)) == distinct
    return line.count(b'":') == distinct
