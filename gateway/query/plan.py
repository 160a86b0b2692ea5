"""How a report will be answered: for whom, in which buckets, by which kind of Druid query."""

from dataclasses import dataclass

from gateway.catalog.model import Dataset
from gateway.errors import LimitExceeded
from gateway.query.aggregations import Uniques
from gateway.query.report import Limits, Report
from gateway.query.time import DAY, Buckets, buckets
from gateway.tenancy.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Plan:
    """A report that may be asked: there is none without a tenant.

    `buckets` is None for granularity `all`. `row_limit` is the most rows that an answer may have.
    """

    tenant: Tenant
    dataset: Dataset
    report: Report
    buckets: Buckets | None
    row_limit: int
    uniques: Uniques

    @property
    def groups(self) -> bool:
        """Whether Druid's groupBy is needed; its timeseries is faster, but knows neither groups nor wall clocks."""
        return bool(self.report.group_by) or (self.buckets is not None and bool(self.buckets.wall_clock))


def is_heavy(planned: Plan) -> bool:
    """Whether the report is likely to keep Druid busy for long, so that it must not stand in small ones' way.

    That is one that reads more than a quarter of a year by groups of any number, or in very many buckets.
    """
    interval = planned.report.interval
    long = interval.end - interval.start > 92 * DAY
    open_groups = any(not dimension.allowed for dimension in planned.report.group_by)
    return (long and open_groups) or (planned.buckets is not None and len(planned.buckets.starts) > 5_000)


def plan(report: Report, tenant: Tenant, dataset: Dataset, limits: Limits, uniques: Uniques) -> Plan:
    """Decide how to answer the report; raises LimitExceeded where it is longer or finer than the limits allow."""
    interval = report.interval
    days = -(-(interval.end - interval.start) // DAY)
    if days > limits.interval_days:
        raise LimitExceeded(
            f"The interval has {days} days; at most {limits.interval_days} are allowed. Ask for a shorter one."
        )
    if report.granularity is None:
        return Plan(tenant, dataset, report, None, limits.rows, uniques)
    most = min(limits.buckets, limits.rows)
    # Counted roughly first: finding the buckets of ten years of minutes would take seconds.
    found = (interval.end - interval.start) // report.granularity.longest
    if found <= most:
        cut = buckets(interval, report.granularity)
        found = len(cut.starts)
        if found <= most:
            return Plan(tenant, dataset, report, cut, limits.rows, uniques)
    raise LimitExceeded(
        f"By {report.granularity.name} the interval has {found} buckets; at most {most} are allowed. "
        "Ask for a coarser granularity or a shorter interval."
    )
