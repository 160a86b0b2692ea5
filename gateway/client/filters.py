"""The types of filters, as JSON has them."""

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict

Names = list[str] | tuple[str, ...]
"""Names of columns. A string alone is not one of these types, although it is a sequence of strings."""
Value = str | float | None


class Selector(TypedDict):
    """Rows with this value; with null, the rows without a value."""

    type: Literal["selector"]
    dimension: str
    value: Value


class In(TypedDict):
    """Rows with one of these values."""

    type: Literal["in"]
    dimension: str
    values: Sequence[Value]


class Bound(TypedDict):
    """Rows from `lower` to `upper`, of which at least one is required."""

    type: Literal["bound"]
    dimension: str
    lower: NotRequired[str | float]
    upper: NotRequired[str | float]
    lowerStrict: NotRequired[bool]
    upperStrict: NotRequired[bool]
    ordering: NotRequired[Literal["lexicographic", "numeric"]]


class Like(TypedDict):
    """Rows with a value that matches the pattern, in which % means any text and _ any character."""

    type: Literal["like"]
    dimension: str
    pattern: str
    escape: NotRequired[str]


class And(TypedDict):
    """Rows that match all of the filters."""

    type: Literal["and"]
    fields: "Sequence[Filter]"


class Or(TypedDict):
    """Rows that match at least one of the filters."""

    type: Literal["or"]
    fields: "Sequence[Filter]"


class Not(TypedDict):
    """Rows that do not match the filter."""

    type: Literal["not"]
    field: "Filter"


class NoFilter(TypedDict):
    """The empty object: all rows."""


Filter = Selector | In | Bound | Like | And | Or | Not
