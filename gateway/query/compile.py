"""From a Plan to native Druid queries.

See https://druid.apache.org/docs/33.0.0/querying/timeseriesquery and …/groupbyquery. pydruid builds the queries; what
it does not support is set on its `query_dict`. Every query gets new pydruid objects, since pydruid modifies its
arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from pydruid.query import QueryBuilder
from pydruid.utils.aggregators import filtered, longmax, longmin
from pydruid.utils.filters import Filter as DruidFilter

from gateway.catalog.model import Dataset, Dimension
from gateway.errors import Forbidden
from gateway.query.aggregations import Metric, Native, Uniques
from gateway.query.buckets import Buckets
from gateway.query.leaf_filters import native
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.query.report import COMPARISONS, START_TIME, Having
from gateway.query.sources import lookup_columns
from gateway.query.time import FIRST_YEAR, LAST_YEAR, format_moment
from gateway.query.zones import Span
from gateway.tenancy.tenant import Tenant

LABEL = "_start_time"
"""The virtual column of a groupBy with the bucket's label: a dimension like any other, to order and limit by."""

ROWS_WITHOUT_METRIC = "_rows_without_metric"
"""The aggregator that counts rows whose unique values the metrics lack, because their segment lacks the metric."""

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class DruidQuery:
    """A native query, and the tenant whose rows it may read, for the guard's independent check.

    `columns` names the values of a groupBy's row, which Druid returns as an array: dimensions, then aggregators, then
    post-aggregators.
    """

    native: Json
    tenant: Tenant
    dataset: Dataset
    columns: tuple[str, ...] = ()


def compile_report(plan: Plan) -> DruidQuery:
    """Return the query for the rows of the answer."""
    if plan.groups:
        return _group_by(plan)
    return _timeseries(plan, "all" if plan.buckets is None else _granularity(plan.buckets))


def compile_totals(plan: Plan) -> DruidQuery:
    """Return the query for one row over all rows that the report's filter matches."""
    return _timeseries(plan, "all")


def compile_time_range(tenant: Tenant, dataset: Dataset) -> DruidQuery:
    """Return the query for the times of the tenant's first and last row, and for the number of rows.

    It reads all of the tenant's rows: run it as a heavy query and cache its result.
    """
    query: Json = (
        QueryBuilder()
        .timeseries(
            {
                "datasource": dataset.data_source,
                "intervals": f"{FIRST_YEAR}-01-01/{LAST_YEAR}-01-01",
                "granularity": "all",
                "filter": DruidFilter(type="and", fields=tenant_filters(tenant, dataset)),
                "aggregations": {"first": longmin("__time"), "last": longmax("__time"), "rows": {"type": "count"}},
                "context": {},
            }
        )
        .query_dict
    )
    return DruidQuery(query, tenant, dataset)


def tenant_filters(tenant: Tenant, dataset: Dataset) -> list[DruidFilter]:
    """Return the filters that match exactly the tenant's rows; raises Forbidden if partners have no access."""
    owner = DruidFilter(type="selector", dimension=dataset.tenant.column, value=tenant.owner_organization_id)
    if tenant.involved_organization_id is None:
        return [owner]
    if dataset.tenant.partner_column is None:
        raise Forbidden(f"{dataset.name} does not record which partners were involved; only its owner has access.")
    involved = tenant.involved_organization_id
    return [owner, DruidFilter(type="selector", dimension=dataset.tenant.partner_column, value=involved)]


def _timeseries(plan: Plan, granularity: Literal["all"] | Json) -> DruidQuery:
    aggregators, post_aggregators = _metrics(plan)
    query: Json = (
        QueryBuilder()
        .timeseries(
            {
                "datasource": plan.dataset.data_source,
                "intervals": _interval(plan),
                "granularity": granularity,
                "filter": _filter(plan),
                "aggregations": aggregators,
                # Druid fills empty buckets only within segments, so the gateway fills all of them.
                "context": {"skipEmptyBuckets": True},
            }
        )
        .query_dict
    )
    query |= {"postAggregations": post_aggregators, **_virtual_columns(plan)}
    return DruidQuery(query, plan.tenant, plan.dataset)


def _group_by(plan: Plan) -> DruidQuery:
    report = plan.report
    aggregators, post_aggregators = _metrics(plan)
    query: Json = (
        QueryBuilder()
        .groupby(
            {
                "datasource": plan.dataset.data_source,
                "intervals": _interval(plan),
                "granularity": "all",
                "filter": _filter(plan),
                "aggregations": aggregators,
                "limit_spec": _limit(plan, aggregators),
                "context": {"resultAsArray": True},
            }
        )
        .query_dict
    )
    query |= {"dimensions": [_dimension(dimension) for dimension in report.group_by]}
    if plan.buckets is not None:
        label = {"type": "default", "dimension": LABEL, "outputName": LABEL, "outputType": "LONG"}
        query["dimensions"] = [label, *query["dimensions"]]
    query |= _virtual_columns(plan)
    # Without group_by, empty buckets count too, and only the gateway knows them: see respond.
    if report.having and report.group_by:
        having: Json = {"type": "and", "havingSpecs": [_having(each) for each in report.having]}
        if ROWS_WITHOUT_METRIC in aggregators:
            # A row with too small a number must reach the gateway, which rejects it.
            lacking = {"type": "greaterThan", "aggregation": ROWS_WITHOUT_METRIC, "value": 0}
            having = {"type": "or", "havingSpecs": [lacking, having]}
        query["having"] = having
    columns = (
        *(dimension["outputName"] for dimension in query["dimensions"]),
        *aggregators,
        *(each["name"] for each in post_aggregators),
    )
    return DruidQuery(query | {"postAggregations": post_aggregators}, plan.tenant, plan.dataset, columns)


def _virtual_columns(plan: Plan) -> Json:
    columns = []
    if plan.buckets is not None and plan.groups:
        columns.append(_expression(LABEL, _label(plan.buckets)))
    used = plan.report.dimension_names()
    columns += lookup_columns(each for each in plan.dataset.dimensions if each.name in used)
    return {"virtualColumns": columns} if columns else {}


def _interval(plan: Plan) -> str:
    return "/".join(_instant(moment) for moment in (plan.report.interval.start, plan.report.interval.end))


def _instant(moment: int) -> str:
    return format_moment(moment, _UTC).replace("+00:00", "Z")


def _filter(plan: Plan) -> DruidFilter:
    own = [] if plan.report.filter is None else [plan.report.filter.to_druid()]
    return DruidFilter(type="and", fields=[*tenant_filters(plan.tenant, plan.dataset), *own])


def _dimension(dimension: Dimension) -> Json:
    return {
        "type": "default",
        "dimension": dimension.column,
        "outputName": dimension.name,
        "outputType": dimension.kind.value,
    }


def _metrics(plan: Plan) -> tuple[dict[str, Json], list[Json]]:
    aggregators: dict[str, Json] = {}
    post_aggregators: list[Json] = []
    for metric in plan.report.metrics:
        built: Native = metric.aggregation.build(metric.name, metric.dimension, plan.uniques)
        for name, aggregator in built.aggregators.items():
            if metric.filter is None:
                aggregators[name] = aggregator
            else:
                aggregators[name] = filtered(metric.filter.to_druid(), aggregator)
        post_aggregators += built.post_aggregators
    if plan.uniques is Uniques.METRIC and (lacking := _without_metric(plan.report.metrics)):
        aggregators[ROWS_WITHOUT_METRIC] = filtered(DruidFilter(type="or", fields=lacking), {"type": "count"})
    return aggregators, post_aggregators


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


def _having(having: Having) -> Json:
    specs = [
        {"type": comparison, "aggregation": having.metric, "value": having.value}
        for comparison in COMPARISONS[having.comparison]
    ]
    return specs[0] if len(specs) == 1 else {"type": "or", "havingSpecs": specs}


def _limit(plan: Plan, aggregators: dict[str, Json]) -> Json:
    report = plan.report
    if not report.group_by:
        return {"type": "default", "limit": plan.row_limit}
    kinds = {dimension.name: dimension.kind.value for dimension in report.group_by}
    # One more than the limit shows that there are too many. Without columns, Druid orders by all dimensions.
    limit: Json = {"type": "default", "limit": report.limit or plan.row_limit + 1}
    names = [order.column for order in report.order_by if order.column != START_TIME or plan.buckets is not None]
    lacking = [ROWS_WITHOUT_METRIC] if ROWS_WITHOUT_METRIC in aggregators else []
    if not names and not lacking:
        return limit
    # Rows with too small a number come first, so that the limit never hides them from the gateway, which rejects them.
    descending = {*lacking, *(order.column for order in report.order_by if order.descending)}
    rest = [*([START_TIME] if plan.buckets is not None else []), *kinds]
    limit["columns"] = [
        {
            "dimension": LABEL if name == START_TIME else name,
            "direction": "descending" if name in descending else "ascending",
            "dimensionOrder": "lexicographic" if kinds.get(name) == "STRING" else "numeric",
        }
        for name in dict.fromkeys([*lacking, *names, *rest])
    ]
    return limit


def _granularity(buckets: Buckets) -> Json:
    """Return Druid's granularity for buckets that have a fixed offset."""
    offset = _offset_id(buckets.spans[0].offset)
    granularity: Json = {"type": "period", "period": buckets.granularity.period, "timeZone": offset}
    return granularity | ({"origin": _instant(buckets.labels[0])} if buckets.granularity.by_offset else {})


def _offset_id(offset: int) -> str:
    """Return the offset in the form that Druid accepts as a time zone."""
    sign, seconds = "-" if offset < 0 else "+", abs(offset) // 1000
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return text if seconds % 60 == 0 else f"{text}:{seconds % 60:02}"


def _expression(name: str, expression: str) -> Json:
    return {"type": "expression", "name": name, "expression": expression, "outputType": "LONG"}


def _label(buckets: Buckets) -> str:
    """Return the expression for a row's label. No text of the caller occurs in it."""
    period = buckets.granularity.period
    if buckets.have_fixed_offset:
        origin = f"'{_instant(buckets.labels[0])}'" if buckets.granularity.by_offset else "null"
        return f"timestamp_floor(\"__time\", '{period}', {origin}, '{_offset_id(buckets.spans[0].offset)}')"
    offset = _offset(buckets.spans)
    floored = f"timestamp_floor(\"__time\" + {offset}, '{period}', null, 'UTC')"
    return f"{floored} - {offset}" if buckets.granularity.by_offset else floored


def _offset(spans: Sequence[Span]) -> str:
    """Return the expression for the offset at a row's time: a binary search, so its depth is small for many spans."""
    if len(spans) == 1:
        return str(spans[0].offset)
    middle = len(spans) // 2
    return f'if("__time" < {spans[middle].start}, {_offset(spans[:middle])}, {_offset(spans[middle:])})'
