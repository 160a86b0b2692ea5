"""Which of its groups a native groupBy returns, and in which order: having, order_by, limit, offset."""

from collections.abc import Container

from pydruid.utils.filters import Filter as DruidFilter

from gateway.query.literals import Json
from gateway.query.native_metrics import ROWS_WITHOUT_METRIC
from gateway.query.plan import Plan
from gateway.query.report import COMPARISONS, START_TIME, Having, Order

LABEL = "_start_time"
"""The virtual column of a groupBy with the bucket's label: a dimension like any other, to order and limit by."""


def group_conditions(plan: Plan, aggregators: Container[str]) -> list[Json]:
    """Return the having specs of a groupBy."""
    conditions: list[Json] = []
    if plan.groups is not None and any(dimension.multi_valued for dimension in plan.report.group_by):
        # A row that has a value of these groups may have values of other groups, too.
        within = DruidFilter.build_filter(plan.groups[1].to_druid())
        conditions.append({"type": "filter", "filter": within})
    # Without group_by, empty buckets count too, and only the gateway knows them: see respond.
    if plan.report.having and plan.is_arranged_by_druid:
        having: Json = {"type": "and", "havingSpecs": [_having(each) for each in plan.report.having]}
        if ROWS_WITHOUT_METRIC in aggregators:
            # A row with too small a number must reach the gateway, which rejects it.
            lacking = {"type": "greaterThan", "aggregation": ROWS_WITHOUT_METRIC, "value": 0}
            having = {"type": "or", "havingSpecs": [lacking, having]}
        conditions.append(having)
    return conditions


def limit_spec(plan: Plan, aggregators: Container[str]) -> Json:
    """Return the order and the number of a groupBy's rows."""
    report = plan.report
    if not report.group_by:
        return {"type": "default", "limit": plan.row_limit}
    # One more than the limit shows that there are too many. Without columns, Druid orders by all dimensions.
    if not plan.is_arranged_by_druid:
        return {"type": "default", "limit": plan.row_limit + 1}
    order_by = [order for order in report.order_by if order.column != START_TIME or plan.buckets is not None]
    if ROWS_WITHOUT_METRIC in aggregators:
        # Rows with too small a number come first, so that the limit never hides them from the gateway, which rejects
        # them.
        order_by = [Order(ROWS_WITHOUT_METRIC, descending=True), *order_by]
    limit: Json = {"type": "default", "limit": report.limit or plan.row_limit + 1}
    if report.offset:
        limit["offset"] = report.offset
    if order_by:
        limit["columns"] = _order(plan, order_by)
    return limit


def page_context(plan: Plan) -> Json:
    """Make the version of a page (Druid's ETag) independent of its limit and offset, so that pages can be compared.

    Druid includes both only if each historical applies them.
    """
    paged = plan.is_arranged_by_druid and plan.report.offset is not None
    return {"applyLimitPushDown": False} if paged else {}


def _having(having: Having) -> Json:
    specs = [
        {"type": comparison, "aggregation": having.metric, "value": having.value}
        for comparison in COMPARISONS[having.comparison]
    ]
    return specs[0] if len(specs) == 1 else {"type": "or", "havingSpecs": specs}


def _order(plan: Plan, order_by: list[Order]) -> list[Json]:
    kinds = {dimension.name: dimension.kind.value for dimension in plan.report.group_by}
    rest = [*([START_TIME] if plan.buckets is not None else []), *kinds]
    # Of two orders by one column, the first decides.
    orders: dict[str, Order] = {}
    for order in (*order_by, *map(Order, rest)):
        orders.setdefault(order.column, order)
    return [
        {
            "dimension": LABEL if name == START_TIME else name,
            "direction": "descending" if order.descending else "ascending",
            "dimensionOrder": "lexicographic" if kinds.get(name) == "STRING" else "numeric",
        }
        for name, order in orders.items()
    ]
