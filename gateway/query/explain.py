"""What a report would do, without running it: for authors of reports, and for anyone who doubts a number."""

from math import prod

from gateway.query.advice import advice
from gateway.query.compile import compile_queries
from gateway.query.limits import Limits
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.query.top import compile_top


def explain(plan: Plan, limits: Limits, now: int) -> Json:
    """Return the report with all defaults, its size and the limits, warnings, and Druid's native queries.

    `now` is the time of the request: numbers of an interval that is not over may still change. The other queries of a
    report with `top` are restricted to the groups that the query `top` finds; here they are shown without.
    """
    sides = [plan.buckets, *([] if plan.compared is None else [plan.compared.buckets])]
    buckets = sum(1 if side is None else len(side.starts) for side in sides)
    queries = compile_queries(plan)
    if plan.report.top is not None:
        queries = {"top": compile_top(plan, plan.report.top), **queries}
    return {
        "report": plan.report.to_json(),
        **({"interval": plan.interval.to_json()} if plan.report.interval.relative else {}),
        **({"compared_with": plan.compared.interval.to_json()} if plan.compared else {}),
        "size": {
            "buckets": {"count": buckets, "limit": limits.buckets},
            "rows": {"at_most": _rows(plan), "limit": limits.rows},
        },
        "warnings": [warning.message for warning in advice(plan, now)],
        "queries": {name: query.native for name, query in queries.items()},
    }


def _rows(plan: Plan) -> int | None:
    """Return the maximum number of rows; None if a dimension may have any number of values."""
    report = plan.report
    buckets = 1 if plan.buckets is None else len(plan.buckets.starts)
    groups = [prod(len(dimension.allowed) + 1 for dimension in report.group_by)]
    if not all(dimension.allowed for dimension in report.group_by):
        groups = []
    if report.top is not None:
        groups.append(report.top.groups)
    if not groups:
        return report.limit
    return min(buckets * min(groups), report.limit or plan.row_limit)
