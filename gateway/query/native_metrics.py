"""The numbers of a report as Druid computes them: aggregators, then post-aggregators."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pydruid.utils.aggregators import filtered
from pydruid.utils.filters import Filter as DruidFilter

from gateway.query.aggregations import Metric, Native, Uniques
from gateway.query.compare import change_to_druid, previous
from gateway.query.expressions import interval_text
from gateway.query.leaf_filters import native
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.query.time import Interval

ROWS_WITHOUT_METRIC = "_rows_without_metric"
"""The aggregator that counts rows whose unique values the metrics lack, because their segment lacks the metric."""


def native_metrics(plan: Plan) -> tuple[dict[str, Json], list[Json]]:
    """Return the aggregators by name and the post-aggregators, each after those that it reads."""
    if plan.compared is None or plan.has_two_queries:
        aggregators, post_aggregators = _side(plan, _same, None)
    else:
        now, before = _side(plan, _same, plan.interval), _side(plan, previous, plan.compared.interval)
        changes = [change_to_druid(column.name) for column in plan.report.side_columns]
        aggregators, post_aggregators = now[0] | before[0], [*now[1], *before[1], *changes]
    if plan.uniques is Uniques.METRIC and (lacking := _without_metric(plan.report.metrics)):
        aggregators[ROWS_WITHOUT_METRIC] = filtered(DruidFilter(type="or", fields=lacking), {"type": "count"})
    return aggregators, post_aggregators


def _side(plan: Plan, renamed: Callable[[str], str], within: Interval | None) -> tuple[dict[str, Json], list[Json]]:
    """Return what computes the columns of one side, named by `renamed`, from the rows of one interval if given."""
    aggregators: dict[str, Json] = {}
    post_aggregators: list[Json] = []
    for metric in plan.report.metrics:
        built: Native = metric.aggregation.build(replace(metric, name=renamed(metric.name)), plan.uniques)
        for name, aggregator in built.aggregators.items():
            conditions = [] if within is None else [_during(within)]
            conditions += [] if metric.filter is None else [metric.filter.to_druid()]
            aggregators[name] = _where(conditions, aggregator)
        post_aggregators += built.post_aggregators
    post_aggregators += [each.to_druid(renamed) for each in plan.report.post_aggregations]
    return aggregators, post_aggregators


def _same(name: str) -> str:
    return name


def _during(interval: Interval) -> DruidFilter:
    if interval.start == interval.end:
        # Druid fails on a filter with an empty interval.
        return native({"type": "false"})
    return native({"type": "interval", "dimension": "__time", "intervals": [interval_text(interval)]})


def _where(conditions: list[DruidFilter], aggregator: Json) -> Json:
    if not conditions:
        return aggregator
    condition = conditions[0] if len(conditions) == 1 else DruidFilter(type="and", fields=conditions)
    where: Json = filtered(condition, aggregator)
    return where


def _without_metric(metrics: Sequence[Metric]) -> list[DruidFilter]:
    """Return filters for the rows that have values of a dimension but not its metric, so that it counts none."""
    dimensions = {
        metric.dimension.column: metric.dimension.unique_metric
        for metric in metrics
        if metric.aggregation.name == "hyperUnique" and metric.dimension.unique_metric is not None
    }
    return [
        DruidFilter(
            type="and",
            fields=[
                native({"type": "null", "column": unique_metric}),
                DruidFilter(type="not", field=native({"type": "null", "column": column})),
            ],
        )
        for column, unique_metric in dimensions.items()
    ]
