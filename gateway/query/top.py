"""The groups of `top`: a query of their own finds them, and the report then has only their rows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.catalog.model import Dimension
from gateway.errors import InvalidReport
from gateway.query.compile import DruidQuery, compile_report
from gateway.query.filters import And, Filter, Or
from gateway.query.leaf_filters import In, Selector
from gateway.query.native_rows import RowReader, is_not_finite, unexpected
from gateway.query.plan import Plan
from gateway.query.report import Top

Group = tuple[Any, ...]
"""The values of the dimensions of group_by."""


def top_plan(plan: Plan, top: Top) -> Plan:
    """Return the plan of the report whose rows are the groups, over the whole interval."""
    metrics = [metric for metric in plan.report.metrics if metric.name == top.by.column]
    ranking = replace(
        plan.report,
        granularity=None,
        # A post-aggregation may read any of them.
        metrics=tuple(metrics) or plan.report.metrics,
        post_aggregations=() if metrics else plan.report.post_aggregations,
        having=(),
        order_by=(top.by,),
        limit=top.groups,
        offset=None,
        totals=False,
        compare=None,
        top=None,
        fill=False,
    )
    return replace(plan, report=ranking, buckets=None, compared=None)


def compile_top(plan: Plan, top: Top) -> DruidQuery:
    """Return the query for the groups."""
    return compile_report(top_plan(plan, top))


def with_groups(plan: Plan, top: Top, query: DruidQuery, rows: Sequence[Any]) -> Plan:
    """Return the plan restricted to the groups in Druid's rows for the query of compile_top."""
    _, groups, _ = RowReader(top_plan(plan, top), query, {}).read(rows)
    found: list[Group] = list(zip(*groups, strict=True))
    if len(found) > top.groups:
        raise unexpected("more groups than requested")
    if any(is_not_finite(value) for group in found for value in group):
        raise InvalidReport(
            "A group of top is a number that is not finite, which no filter can select. Filter by a range (bound)."
        )
    dimensions = plan.report.group_by
    columns = [replace(dimension, column=dimension.name, multi_valued=False) for dimension in dimensions]
    return replace(plan, groups=(_one_of(dimensions, found), _one_of(columns, found)))


def _one_of(dimensions: Sequence[Dimension], groups: Sequence[Group]) -> Filter:
    """Return the filter for rows, or groups, that have the values of one of the groups."""
    if len(dimensions) == 1 or not groups:
        return In(dimensions[0], tuple(group[0] for group in groups))
    return Or(tuple(And(tuple(map(Selector, dimensions, group))) for group in groups))
