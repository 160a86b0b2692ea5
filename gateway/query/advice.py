"""What the author of a report must know about a correct answer."""

from dataclasses import dataclass

from gateway.catalog.model import Advice
from gateway.query.default_filters import default_warning
from gateway.query.filters import dimension_names
from gateway.query.plan import Plan
from gateway.query.report import Report, once_per_report
from gateway.query.time import format_moment


@dataclass(frozen=True, slots=True)
class ReportWarning:
    """What the caller must know about a correct answer. `pointer` is the JSON Pointer in the request to its cause."""

    code: str
    message: str
    pointer: str


def advice(plan: Plan, now: int) -> tuple[ReportWarning, ...]:
    """Return the warnings that follow from the report and the time of the request."""
    warnings = _of_report(plan.report, plan.dataset.advice)
    # A comparison evaluates its interval until now only.
    if plan.whole_end > now and not plan.report.interval.relative:
        end = format_moment(plan.whole_end, plan.interval.zone)
        message = f"The interval is not over before {end}: its numbers may still change."
        return (*warnings, ReportWarning("interval_not_over", message, "/interval"))
    return warnings


@once_per_report
def _of_report(report: Report, what_to_filter: tuple[Advice, ...]) -> tuple[ReportWarning, ...]:
    # A dimension is restricted by a filter of the report, by a filter in every aggregation, or by groups.
    restricted = dimension_names(report.filter)
    restricted |= set.intersection(*(dimension_names(metric.filter) for metric in report.metrics))
    restricted |= {dimension.name for dimension in report.group_by}
    warnings = [
        ReportWarning("not_filtered", f"There is no filter on {each.dimension}: {each.message}.", "/filters")
        for each in what_to_filter
        if each.dimension not in restricted
    ]
    warnings += [ReportWarning("default_filter", default_warning(each), "/filters") for each in report.defaults]
    return tuple(warnings)
