"""What a body means: the report that was asked for, with every name resolved. And the limits that reports must keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from gateway.catalog.model import Dimension
from gateway.query.aggregations import Metric
from gateway.query.filters import Filter
from gateway.query.literals import Json
from gateway.query.time import Granularity, Interval, format_moment

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
"""The comparisons of `having`, by name, as Druid's having specs of which one must hold."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a report may be. Settings give them (GATEWAY_MAX_…), and every error that speaks of one says it."""

    rows: int = 100_000
    buckets: int = 45_000
    interval_days: int = 3_660
    filter_depth: int = 12
    filters: int = 200
    filter_values: int = 2_000
    aggregations: int = 50


@dataclass(frozen=True, slots=True)
class Having:
    """A comparison that a row of the answer must meet. A metric that is null meets none."""

    comparison: Comparison
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Order:
    """A column to order by; null comes before everything, and last where descending."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A question in the language. `granularity` None is `all`: one bucket, which begins where the interval does."""

    interval: Interval
    granularity: Granularity | None
    group_by: tuple[Dimension, ...]
    metrics: tuple[Metric, ...]
    filter: Filter | None = None
    having: tuple[Having, ...] = ()
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    totals: bool = False

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
