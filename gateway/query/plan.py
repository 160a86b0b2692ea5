"""How a report is answered: for whom, in which buckets, with which kind of Druid query."""

from dataclasses import dataclass, replace
from math import prod

from gateway.catalog.model import Dataset
from gateway.errors import LimitExceeded
from gateway.query.aggregations import MetricColumn, Uniques
from gateway.query.buckets import MINUTE, Buckets, Granularity, buckets
from gateway.query.filters import And, Filter, Not
from gateway.query.intervals import Resolved
from gateway.query.limits import Limits
from gateway.query.precision import check_buckets, check_precision
from gateway.query.report import Report, once_per_report
from gateway.query.schema import ReportSchema
from gateway.query.time import Interval
from gateway.tenancy.tenant import Tenant

_HEAVY = 3_000
"""The cost from which a report is heavy: a year with one metric for each user, or with two sketches in all."""
_UNKNOWN_GROUPS = 8
"""The cost factor of groups of unknown number. Groups do not multiply the rows to read, so the factor is small."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The interval that a report is compared with, and its buckets that have a counterpart.

    `paired` is the time of these buckets, and the whole interval if there are no buckets.
    """

    interval: Interval
    paired: Interval
    buckets: Buckets | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A report that may be run; a plan without a tenant cannot exist.

    `interval` has the moments that the report's interval means now; the unit of time that contains its end may end
    later, at `whole_end`. `buckets` is None for granularity `all`.
    `row_limit` is the maximum number of rows in an answer. `groups` are the groups of `top`, once they are known: a
    condition on rows, and the same on groups.
    """

    tenant: Tenant
    dataset: Dataset
    report: Report
    interval: Interval
    buckets: Buckets | None
    row_limit: int
    uniques: Uniques
    whole_end: int
    compared: Compared | None = None
    groups: tuple[Filter, Filter] | None = None

    @property
    def has_groups(self) -> bool:
        """Whether Druid's groupBy is needed; its timeseries is faster, but has neither groups nor changing offsets."""
        return bool(self.report.group_by) or (self.buckets is not None and not self.buckets.have_fixed_offset)

    @property
    def has_two_queries(self) -> bool:
        """Whether each side of a comparison has a query of its own.

        Without buckets, one query computes both sides. With buckets, the gateway pairs them: a bucket of Druid, such as
        a week, may contain rows of both sides.
        """
        return self.compared is not None and self.buckets is not None

    @property
    def is_arranged_by_druid(self) -> bool:
        """Whether Druid applies having, order_by and limit. Otherwise only the gateway knows all the rows."""
        return bool(self.report.group_by) and not self.report.fill and not self.has_two_queries

    @property
    def has_both_sides(self) -> bool:
        """Whether one query computes both sides of a comparison."""
        return self.compared is not None and self.buckets is None

    @property
    def native_columns(self) -> tuple[MetricColumn, ...]:
        """The columns of numbers in Druid's rows."""
        return self.report.columns if self.has_both_sides else self.report.side_columns

    def earlier(self) -> "Plan":
        """Return the plan of the other side of a comparison that has two queries."""
        assert self.compared is not None  # noqa: S101 - the caller has checked it
        report = replace(self.report, having=(), order_by=(), limit=None, offset=None)
        interval, found = self.compared.paired, self.compared.buckets
        return replace(self, report=report, interval=interval, buckets=found, compared=None)

    def whole(self) -> "Plan":
        """Return the plan of the totals: one row over all rows that the filter matches."""
        compared = None if self.compared is None else replace(self.compared, buckets=None)
        return replace(self._without_groups(self.report.filter), buckets=None, compared=compared)

    def others(self) -> "Plan":
        """Return the plan of the rows that are in none of the groups of `top`."""
        assert self.groups is not None  # noqa: S101 - the caller has checked it
        not_in_groups = Not(self.groups[0])
        condition = self.report.filter
        return self._without_groups(not_in_groups if condition is None else And((condition, not_in_groups)))

    def _without_groups(self, condition: Filter | None) -> "Plan":
        report = replace(
            self.report,
            group_by=(),
            filter=condition,
            having=(),
            order_by=(),
            limit=None,
            offset=None,
            fill=False,
            top=None,
        )
        return replace(self, report=report, groups=None)


def cost(planned: Plan) -> int:
    """Estimate how much work the report is for Druid: days to read and rows to return, each times the metrics.

    One unit is roughly one sum over one day. A comparison counts both sides.
    """
    report = planned.report
    days = planned.interval.days + (0 if planned.compared is None else planned.compared.interval.days)
    rows = sum(len(each.labels) for each in (planned.buckets, planned.compared and planned.compared.buckets) if each)
    return _work(report) * (days * _groups(report) + rows // 2)


@once_per_report
def _work(report: Report) -> int:
    passes = 1 + (report.top is not None) + (report.top is not None and report.top.other)
    return passes * (1 + sum(metric.aggregation.weight for metric in report.metrics))


@once_per_report
def _groups(report: Report) -> int:
    sizes = [len(dimension.allowed) + 1 if dimension.allowed else _UNKNOWN_GROUPS for dimension in report.group_by]
    return min(_UNKNOWN_GROUPS, prod(sizes))


def is_heavy(planned: Plan) -> bool:
    """Whether the report probably occupies Druid for long, so that it must not delay small ones."""
    return cost(planned) >= _HEAVY


def plan(report: Report, tenant: Tenant, schema: ReportSchema, uniques: Uniques, *, now: int) -> Plan:
    """Decide how to answer the report; raises LimitExceeded if it is longer or finer than the limits allow.

    `now` is the time of the request. It counts to the minute, so that equal reports within a minute are one query; if
    the times of rows were rounded down to longer steps, to the end of the current one.
    """
    limits = schema.limits
    _check_days(report.interval.least_days(), limits)
    rows = schema.dataset.rows
    now -= now % MINUTE
    resolved = report.interval.resolve(now)
    if rows is not None:
        # The times of rows were rounded down: those of now have the start of a step that is not over.
        until = now + -now % rows.step
        if report.interval.relative and resolved.interval.end == now:
            resolved = Resolved(replace(resolved.interval, end=until), max(resolved.whole_end, until))
        now = until
    interval, other = (resolved.interval, None) if report.compare is None else report.compare.sides(resolved, now)
    if other is None:
        _check_days(interval.days, limits)
    else:
        _check_days(interval.days + other.days, limits, "The interval and the one that it is compared with have")
    if rows is not None:
        check_precision(report, rows, interval, other)
    found = None if report.granularity is None else _buckets(interval, report.granularity, limits, 0)
    compared = None if other is None else _compared(other, report.granularity, limits, found)
    if rows is not None:
        check_buckets(rows, found, None if compared is None else compared.buckets)
    return Plan(tenant, schema.dataset, report, interval, found, limits.rows, uniques, resolved.whole_end, compared)


def _check_days(days: int, limits: Limits, what: str = "The interval has") -> None:
    if days > limits.interval_days:
        raise LimitExceeded(
            f"{what} {days} days; at most {limits.interval_days} are allowed. Request a shorter interval."
        )


def _compared(other: Interval, granularity: Granularity | None, limits: Limits, paired: Buckets | None) -> Compared:
    if granularity is None or paired is None:
        return Compared(other, other, None)
    count = len(paired.labels)
    found = _buckets(other, granularity, limits, count)
    if len(found.labels) <= count:
        return Compared(other, other, found)
    # The further buckets have no counterpart.
    shorter = replace(other, end=found.starts[count] if count else other.start)
    return Compared(other, shorter, buckets(shorter, granularity))


def _buckets(interval: Interval, granularity: Granularity, limits: Limits, others: int) -> Buckets:
    """Return the buckets of the interval, which together with the `others` are not too many."""
    most = min(limits.buckets, limits.rows)
    # A rough count comes first: the buckets of ten years of minutes would take seconds to find.
    count = others + (interval.end - interval.start) // granularity.longest
    if count <= most:
        found = buckets(interval, granularity)
        count = others + len(found.labels)
        if count <= most:
            return found
    raise LimitExceeded(
        f"By {granularity.name} the interval has {count} buckets; at most {most} are allowed. "
        "Request a coarser granularity or a shorter interval."
    )
