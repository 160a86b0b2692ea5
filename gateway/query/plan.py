"""How a report is answered: for whom, in which buckets, with which kind of Druid query."""

from dataclasses import dataclass
from math import prod

from gateway.catalog.model import Dataset
from gateway.errors import InvalidReport, LimitExceeded, Problem
from gateway.query.aggregations import Uniques
from gateway.query.buckets import Buckets, buckets
from gateway.query.limits import Limits
from gateway.query.report import Report
from gateway.query.zones import DAY
from gateway.tenancy.tenant import Tenant

_HEAVY = 3_000
"""The cost from which a report is heavy: a year with one metric for each user, or with two sketches in all."""
_SKETCH = 4
"""The cost of a sketch, in sums."""
_UNKNOWN_GROUPS = 8
"""The cost factor of groups of unknown number. Groups do not multiply the rows to read, so the factor is small."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A report that may be run; a plan without a tenant cannot exist.

    `buckets` is None for granularity `all`. `row_limit` is the maximum number of rows in an answer.
    """

    tenant: Tenant
    dataset: Dataset
    report: Report
    buckets: Buckets | None
    row_limit: int
    uniques: Uniques

    @property
    def groups(self) -> bool:
        """Whether Druid's groupBy is needed; its timeseries is faster, but has neither groups nor changing offsets."""
        return bool(self.report.group_by) or (self.buckets is not None and not self.buckets.have_fixed_offset)


def cost(planned: Plan) -> int:
    """Estimate how much work the report is for Druid: days to read and rows to return, each times the metrics.

    One unit is roughly one sum over one day.
    """
    report = planned.report
    sketches = sum(metric.aggregation.name == "hyperUnique" for metric in report.metrics)
    work = 1 + len(report.metrics) + (_SKETCH - 1) * sketches
    days = -(-(report.interval.end - report.interval.start) // DAY)
    sizes = [len(dimension.allowed) + 1 if dimension.allowed else _UNKNOWN_GROUPS for dimension in report.group_by]
    rows = 0 if planned.buckets is None else len(planned.buckets.starts)
    return work * (days * min(_UNKNOWN_GROUPS, prod(sizes)) + rows // 2)


def is_heavy(planned: Plan) -> bool:
    """Whether the report probably occupies Druid for long, so that it must not delay small ones."""
    return cost(planned) >= _HEAVY


def _check_precision(report: Report, dataset: Dataset) -> None:
    """Raise InvalidReport if the interval begins or ends between two times that the data source can have."""
    if dataset.rows is None:
        return
    step = dataset.rows.step
    if report.interval.start % step or report.interval.end % step:
        message = f"must start and end at a whole {dataset.rows.granularity} in UTC, the precision of the data's times"
        raise InvalidReport("The data is less precise than the report.", problems=[Problem("/interval", message)])


def _check_buckets(found: Buckets, dataset: Dataset) -> None:
    """Raise InvalidReport if rows of one time of the data source belong to two buckets."""
    if dataset.rows is None or not any(start % dataset.rows.step for start in found.starts):
        return
    message = f"must consist of whole {dataset.rows.granularity}s in UTC, the precision of the data's times"
    raise InvalidReport("The data is less precise than the report.", problems=[Problem("/granularity", message)])


def plan(report: Report, tenant: Tenant, dataset: Dataset, limits: Limits, uniques: Uniques) -> Plan:
    """Decide how to answer the report; raises LimitExceeded if it is longer or finer than the limits allow."""
    interval = report.interval
    _check_precision(report, dataset)
    days = -(-(interval.end - interval.start) // DAY)
    if days > limits.interval_days:
        raise LimitExceeded(
            f"The interval has {days} days; at most {limits.interval_days} are allowed. Request a shorter interval."
        )
    if report.granularity is None:
        return Plan(tenant, dataset, report, None, limits.rows, uniques)
    most = min(limits.buckets, limits.rows)
    # A rough count comes first: the buckets of ten years of minutes would take seconds to find.
    found = (interval.end - interval.start) // report.granularity.longest
    if found <= most:
        cut = buckets(interval, report.granularity)
        found = len(cut.starts)
        if found <= most:
            _check_buckets(cut, dataset)
            return Plan(tenant, dataset, report, cut, limits.rows, uniques)
    raise LimitExceeded(
        f"By {report.granularity.name} the interval has {found} buckets; at most {most} are allowed. "
        "Request a coarser granularity or a shorter interval."
    )
