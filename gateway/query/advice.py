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
        warnings += (_not_over("The interval", plan.whole_end, plan, "/interval"),)
    if plan.compared is not None and plan.compared.interval.end > now:
        what = "The interval that it is compared with"
        warnings += (_not_over(what, plan.compared.interval.end, plan, "/compare/to"),)
    return warnings


def _not_over(what: str, end: int, plan: Plan, pointer: str) -> ReportWarning:
    message = f"{what} is not over before {format_moment(end, plan.interval.zone)}: its numbers may still change."
    return ReportWarning("interval_not_over", message, pointer)


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
