"""What a report would do, without running it: for authors of reports, and for anyone who doubts a number."""

from math import prod

from gateway.query.compile import compile_report, compile_totals
from gateway.query.default_filters import default_warning
from gateway.query.filters import dimension_names
from gateway.query.limits import Limits
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.query.time import format_moment


def explain(plan: Plan, limits: Limits, now: int) -> Json:
    """Return the report with all defaults, its size and the limits, warnings, and Druid's native queries.

    `now` is the time of the request: numbers of an interval that is not over may still change.
    """
    buckets = 1 if plan.buckets is None else len(plan.buckets.starts)
    queries = {"report": compile_report(plan).native}
    if plan.report.totals:
        queries["totals"] = compile_totals(plan).native
    return {
        "report": plan.report.to_json(),
        "size": {
            "buckets": {"count": buckets, "limit": limits.buckets},
            "rows": {"at_most": _rows(plan, buckets), "limit": limits.rows},
        },
        "warnings": _warnings(plan, now),
        "queries": queries,
    }


def _rows(plan: Plan, buckets: int) -> int | None:
    """Return the maximum number of rows; None if a dimension may have any number of values."""
    sizes = [len(dimension.allowed) + 1 for dimension in plan.report.group_by]
    if not all(dimension.allowed for dimension in plan.report.group_by):
        return plan.report.limit
    return min(buckets * prod(sizes), plan.report.limit or plan.row_limit)


def _warnings(plan: Plan, now: int) -> list[str]:
    report = plan.report
    # A dimension is restricted by a filter of the report, by a filter in every aggregation, or by groups.
    restricted = dimension_names(report.filter)
    restricted |= set.intersection(*(dimension_names(metric.filter) for metric in report.metrics))
    restricted |= {dimension.name for dimension in report.group_by}
    warnings = [
        f"There is no filter on {advice.dimension}: {advice.message}."
        for advice in plan.dataset.advice
        if advice.dimension not in restricted
    ]
    warnings += map(default_warning, report.defaults)
    if report.interval.end > now:
        end = format_moment(report.interval.end, report.interval.zone)
        warnings.append(f"The interval is not over before {end}: its numbers may still change.")
    return warnings
