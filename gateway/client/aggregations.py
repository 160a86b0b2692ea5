"""The types of aggregations and post-aggregations, as JSON has them."""

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict

from gateway.client.filters import Filter, Names


class Count(TypedDict):
    """The number of rows."""

    type: Literal["count"]
    fields: NotRequired[Names]
    name: NotRequired[str]
    filter: NotRequired[Filter]


class OfFields(TypedDict):
    """One number for each field."""

    type: Literal["sum", "avg", "min", "max", "hyperUnique"]
    fields: Names
    name: NotRequired[str]
    filter: NotRequired[Filter]


class Quantile(TypedDict):
    """The value at this fraction of the sorted values of each field."""

    type: Literal["quantile"]
    fraction: float
    fields: Names
    name: NotRequired[str]
    filter: NotRequired[Filter]


class Arithmetic(TypedDict):
    """A number computed from other columns of the row, and from constants."""

    type: Literal["arithmetic"]
    name: str
    fn: Literal["+", "-", "*", "/"]
    fields: Sequence[str | float]


Aggregation = Count | OfFields | Quantile
PostAggregation = Arithmetic
