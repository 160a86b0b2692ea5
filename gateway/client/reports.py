"""The type of a report, as JSON has it: a type checker finds misspelt keys and values before the gateway does.

The gateway alone decides what a valid report is. A test compares these types with its schema.
"""

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict

from gateway.client.aggregations import Aggregation, PostAggregation
from gateway.client.filters import Filter, Names, NoFilter

Granularity = Literal[
    "all",
    "minute",
    "five_minute",
    "fifteen_minute",
    "thirty_minute",
    "hour",
    "six_hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
]
Direction = Literal["ascending", "descending"]


class Moments(TypedDict):
    """From `start` up to, but not including, `end`."""

    start: str
    end: str


class Fixed(Moments):
    """An interval between two moments."""

    time_zone: NotRequired[str]


class Last(TypedDict):
    """The last units of time, such as P7D."""

    last: str
    include_current: NotRequired[bool]
    time_zone: NotRequired[str]


class Current(TypedDict):
    """From the start of the current unit until now."""

    current: Literal["day", "week", "month", "quarter", "year"]
    time_zone: NotRequired[str]


Interval = Fixed | Last | Current


class Comparison(TypedDict):
    """A condition that the rows of the answer must match."""

    type: Literal["equalTo", "greaterThan", "greaterThanOrEqualTo", "lessThan", "lessThanOrEqualTo"]
    metric: str
    value: float


class Order(TypedDict):
    """A column by which the rows of the answer are ordered."""

    column: str
    direction: NotRequired[Direction]


class Compare(TypedDict):
    """The interval with which to compare."""

    to: Literal["previous_period", "previous_year"] | Moments


class Top(TypedDict):
    """The groups with the largest numbers."""

    groups: int
    by: str
    direction: NotRequired[Direction]
    other: NotRequired[bool]


class Report(TypedDict):
    """A report: docs/query-language.md describes each member."""

    interval: Interval
    granularity: NotRequired[Granularity]
    group_by: NotRequired[Names]
    aggregations: Sequence[Aggregation]
    post_aggregations: NotRequired[Sequence[PostAggregation]]
    filters: NotRequired[Filter | Sequence[Filter] | NoFilter]
    having: NotRequired[Sequence[Comparison]]
    order_by: NotRequired[Sequence[Order]]
    limit: NotRequired[int]
    offset: NotRequired[int]
    totals: NotRequired[bool]
    compare: NotRequired[Compare]
    top: NotRequired[Top]
    fill: NotRequired[bool]
    freshness: NotRequired[bool]
