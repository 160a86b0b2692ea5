"""What a body means: the report that the caller wants, with every name resolved."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from gateway.catalog.model import Dimension
from gateway.query.aggregations import Metric
from gateway.query.buckets import Granularity
from gateway.query.filters import Filter, dimension_names
from gateway.query.literals import Json
from gateway.query.time import Interval, format_moment

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


@dataclass(frozen=True, slots=True)
class Report:
    """A valid report. `granularity` None is `all`: one bucket, which starts where the interval starts.

    `filter` includes the default filters of the dimensions in `defaults`, on which the report itself does not filter.
    """

    interval: Interval
    granularity: Granularity | None
    group_by: tuple[Dimension, ...]
    metrics: tuple[Metric, ...]
    filter: Filter | None = None
    having: tuple[Having, ...] = ()
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    totals: bool = False
    defaults: tuple[Dimension, ...] = ()

    def dimension_names(self) -> set[str]:
        """Return the names of all dimensions that Druid reads."""
        conditions = (self.filter, *(metric.filter for metric in self.metrics))
        dimensions = (*self.group_by, *(metric.dimension for metric in self.metrics))
        return {dimension.name for dimension in dimensions}.union(*map(dimension_names, conditions))

    def to_json(self) -> Json:
        """Return the report as the language writes it, with every default written out."""
        zone = self.interval.zone
        return {
            "interval": {
                "start": format_moment(self.interval.start, zone),
                "end": format_moment(self.interval.end, zone),
                "time_zone": zone.key,
            },
            "granularity": self.granularity.name if self.granularity else "all",
            "group_by": [dimension.name for dimension in self.group_by],
            "aggregations": [metric.to_json() for metric in self.metrics],
            "filters": [] if self.filter is None else self.filter.to_json(),
            "having": [{"type": h.comparison, "metric": h.metric, "value": h.value} for h in self.having],
            "order_by": [
                {"column": order.column, "direction": "descending" if order.descending else "ascending"}
                for order in self.order_by
            ],
            **({} if self.limit is None else {"limit": self.limit}),
            "totals": self.totals,
        }
