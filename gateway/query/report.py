"""What a body means: the report that the caller wants, with every name resolved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Literal, TypeVar, TypeVarTuple

from gateway.catalog.model import Dimension
from gateway.query.aggregations import Metric, MetricColumn
from gateway.query.buckets import Granularity
from gateway.query.compare import PREVIOUS_START_TIME, Compare, compared
from gateway.query.filters import Filter, dimension_names
from gateway.query.intervals import IntervalForm
from gateway.query.literals import Json
from gateway.query.post_aggregations import PostAggregation

START_TIME = "start_time"

Comparison = Literal["equalTo", "greaterThan", "greaterThanOrEqualTo", "lessThan", "lessThanOrEqualTo"]

COMPARISONS: Mapping[Comparison, tuple[str, ...]] = MappingProxyType(
    {
        "equalTo": ("equalTo",),
        "greaterThan": ("greaterThan",),
        "greaterThanOrEqualTo": ("greaterThan", "equalTo"),
        "lessThan": ("lessThan",),
        "lessThanOrEqualTo": ("lessThan", "equalTo"),
    }
)
"""The comparisons of `having`, by name. The value lists Druid's having specs, of which one must match."""


@dataclass(frozen=True, slots=True)
class Having:
    """A comparison that a row of the answer must match. A metric that is null matches none."""

    comparison: Comparison
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Order:
    """A column to order by. Null precedes every other value, so it comes last in descending order."""

    column: str
    descending: bool = False

    def to_json(self) -> Json:
        """Return the order as the language writes it."""
        return {"column": self.column, "direction": "descending" if self.descending else "ascending"}


@dataclass(frozen=True, slots=True)
class Top:
    """Restricts the report to the `groups` groups that are first by one column over the whole interval.

    With `other`, the answer also has the numbers of all other rows together.
    """

    groups: int
    by: Order
    other: bool = False

    def to_json(self) -> Json:
        """Return the restriction as the language writes it."""
        by = self.by.to_json()
        return {"groups": self.groups, "by": by["column"], "direction": by["direction"], "other": self.other}


_Ts = TypeVarTuple("_Ts")
_T = TypeVar("_T")


def once_per_report(compute: Callable[["Report", *_Ts], _T]) -> Callable[["Report", *_Ts], _T]:
    """Compute what follows from a report, whatever its interval, once for each combination of further arguments.

    Nothing may change the result: reports that differ only in their intervals share it.
    """

    @wraps(compute)
    def computed(report: "Report", *arguments: *_Ts) -> _T:
        key = (compute, *arguments)
        try:
            found: _T = report.computed[key]
        except KeyError:
            found = report.computed[key] = compute(report, *arguments)
        return found

    return computed


@dataclass(frozen=True, slots=True)
class Report:
    """A valid report. `granularity` None is `all`: one bucket, which starts where the interval starts.

    `filter` includes the default filters of the dimensions in `defaults`, on which the report itself does not filter.
    `offset` is the number of rows to skip. A report that has one, 0 included, is a page of the report without it.
    """

    interval: IntervalForm
    granularity: Granularity | None
    group_by: tuple[Dimension, ...]
    metrics: tuple[Metric, ...]
    post_aggregations: tuple[PostAggregation, ...] = ()
    filter: Filter | None = None
    having: tuple[Having, ...] = ()
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None
    totals: bool = False
    compare: Compare | None = None
    top: Top | None = None
    fill: bool = False
    freshness: bool = False
    defaults: tuple[Dimension, ...] = ()
    # For once_per_report. dataclasses.replace() gives the new report an empty one.
    computed: dict[tuple[object, ...], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def with_interval(self, interval: IntervalForm) -> "Report":
        """Return the same report on another interval. It must not compare intervals."""
        report = Report(interval, *_without_interval(self))
        object.__setattr__(report, "computed", self.computed)
        return report

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The names of the columns that tell a row's bucket."""
        paired = self.compare is not None and self.granularity is not None
        return (START_TIME, PREVIOUS_START_TIME) if paired else (START_TIME,)

    @property
    @once_per_report
    def side_columns(self) -> tuple[MetricColumn, ...]:
        """The columns of numbers of one side of a comparison: the metrics, then the post-aggregations."""
        columns = [metric.column for metric in self.metrics]
        empty = {column.name: column.empty for column in columns}
        for each in self.post_aggregations:
            column = each.column(empty)
            columns.append(column)
            empty[column.name] = column.empty
        return tuple(columns)

    @property
    @once_per_report
    def columns(self) -> tuple[MetricColumn, ...]:
        """The columns of numbers in the answer."""
        return self.side_columns if self.compare is None else compared(self.side_columns)

    @once_per_report
    def dimension_names(self) -> frozenset[str]:
        """Return the names of all dimensions that Druid reads."""
        conditions = (self.filter, *(metric.filter for metric in self.metrics))
        dimensions = (*self.group_by, *(metric.dimension for metric in self.metrics))
        return frozenset(dimension.name for dimension in dimensions).union(*map(dimension_names, conditions))

    def to_json(self) -> Json:
        """Return the report as the language writes it, with every default written out."""
        return {
            "interval": {**self.interval.to_json(), "time_zone": self.interval.zone.key},
            "granularity": self.granularity.name if self.granularity else "all",
            "group_by": [dimension.name for dimension in self.group_by],
            "aggregations": [metric.to_json() for metric in self.metrics],
            "post_aggregations": [each.to_json() for each in self.post_aggregations],
            "filters": [] if self.filter is None else self.filter.to_json(),
            "having": [{"type": h.comparison, "metric": h.metric, "value": h.value} for h in self.having],
            "order_by": [order.to_json() for order in self.order_by],
            **({} if self.limit is None else {"limit": self.limit}),
            **({} if self.offset is None else {"offset": self.offset}),
            "totals": self.totals,
            **({} if self.compare is None else {"compare": self.compare.to_json()}),
            **({} if self.top is None else {"top": self.top.to_json()}),
            "fill": self.fill,
            "freshness": self.freshness,
        }


_without_interval = attrgetter(*(each.name for each in fields(Report) if each.init and each.name != "interval"))
