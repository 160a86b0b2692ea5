"""From a Plan to native Druid queries.

https://druid.apache.org/docs/33.0.0/querying/timeseriesquery and …/groupbyquery describe what is built here. pydruid
builds; what it has no words for is set on its `query_dict`. Its objects are made anew for each query, since pydruid
changes those that it is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pydruid.query import QueryBuilder
from pydruid.utils.aggregators import filtered, longmax, longmin
from pydruid.utils.filters import Filter as DruidFilter

from gateway.catalog.model import Dataset, Dimension
from gateway.errors import Forbidden
from gateway.query.aggregations import Metric, Native, Uniques
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.query.report import COMPARISONS, START_TIME, Having
from gateway.query.time import FIRST_YEAR, LAST_YEAR, Buckets, Span, format_moment
from gateway.tenancy.tenant import Tenant

LABEL = "_start_time"
"""The virtual column that groupBy has for the bucket: time is a dimension like any other, to order and limit by."""

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class DruidQuery:
    """A native query, and the tenant whose rows alone it may touch, for the broker client's own check.

    `columns` names the values of a groupBy's row, which Druid answers as an array: dimensions, then aggregators, then
    post-aggregators.
    """

    native: Json
    tenant: Tenant
    dataset: Dataset
    columns: tuple[str, ...] = ()


def compile_report(plan: Plan) -> DruidQuery:
    """Return the query for the rows of the answer."""
    return _group_by(plan) if plan.groups else _timeseries(plan, plan.buckets)


def compile_totals(plan: Plan) -> DruidQuery:
    """Return the query for one row over all that the report's filter matches."""
    return _timeseries(plan, None)


def compile_time_range(tenant: Tenant, dataset: Dataset) -> DruidQuery:
    """Return the query for when the first and the last of the tenant's rows are, and how many there are."""
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
    """Return the filters that every row of the tenant matches; raises Forbidden if partners have no access."""
    owner = DruidFilter(type="selector", dimension=dataset.tenant.column, value=tenant.owner_organization_id)
    if tenant.involved_organization_id is None:
        return [owner]
    if dataset.tenant.partner_column is None:
        raise Forbidden(f"{dataset.name} does not record which partners were involved; only its owner has access.")
    involved = tenant.involved_organization_id
    return [owner, DruidFilter(type="selector", dimension=dataset.tenant.partner_column, value=involved)]


def _timeseries(plan: Plan, buckets: Buckets | None) -> DruidQuery:
    aggregators, post_aggregators = _metrics(plan.report.metrics, plan.uniques)
    query: Json = (
        QueryBuilder()
        .timeseries(
            {
                "datasource": plan.dataset.data_source,
                "intervals": _interval(plan),
                "granularity": "all" if buckets is None else _granularity(buckets),
                "filter": _filter(plan),
                "aggregations": aggregators,
                # The gateway knows every bucket, also where Druid has no segment: it fills in what is empty.
                "context": {"skipEmptyBuckets": True},
            }
        )
        .query_dict
    )
    return DruidQuery(query | {"postAggregations": post_aggregators}, plan.tenant, plan.dataset)


def _group_by(plan: Plan) -> DruidQuery:
    report = plan.report
    aggregators, post_aggregators = _metrics(report.metrics, plan.uniques)
    query: Json = (
        QueryBuilder()
        .groupby(
            {
                "datasource": plan.dataset.data_source,
                "intervals": _interval(plan),
                "granularity": "all",
                "filter": _filter(plan),
                "aggregations": aggregators,
                "limit_spec": _limit(plan),
                "context": {"resultAsArray": True},
            }
        )
        .query_dict
    )
    query |= {"dimensions": [_dimension(dimension) for dimension in report.group_by]}
    if plan.buckets is not None:
        label = {"type": "default", "dimension": LABEL, "outputName": LABEL, "outputType": "LONG"}
        query["dimensions"] = [label, *query["dimensions"]]
        query["virtualColumns"] = [_expression(LABEL, _label(plan.buckets))]
    # Without group_by empty buckets count too, and those only the gateway knows: see respond.
    if report.having and report.group_by:
        query["having"] = {"type": "and", "havingSpecs": [_having(each) for each in report.having]}
    columns = (
        *(dimension["outputName"] for dimension in query["dimensions"]),
        *aggregators,
        *(each["name"] for each in post_aggregators),
    )
    return DruidQuery(query | {"postAggregations": post_aggregators}, plan.tenant, plan.dataset, columns)


def _interval(plan: Plan) -> str:
    return "/".join(_instant(moment) for moment in (plan.report.interval.start, plan.report.interval.end))


def _instant(moment: int) -> str:
    return format_moment(moment, _UTC).replace("+00:00", "Z")


def _filter(plan: Plan) -> DruidFilter:
    asked = [] if plan.report.filter is None else [plan.report.filter.to_druid()]
    return DruidFilter(type="and", fields=[*tenant_filters(plan.tenant, plan.dataset), *asked])


def _dimension(dimension: Dimension) -> Json:
    return {
        "type": "default",
        "dimension": dimension.column,
        "outputName": dimension.name,
        "outputType": dimension.kind.value,
    }


def _metrics(metrics: Sequence[Metric], uniques: Uniques) -> tuple[dict[str, Json], list[Json]]:
    aggregators: dict[str, Json] = {}
    post_aggregators: list[Json] = []
    for metric in metrics:
        native: Native = metric.aggregation.build(metric.name, metric.dimension, uniques)
        for name, aggregator in native.aggregators.items():
            if metric.filter is None:
                aggregators[name] = aggregator
            else:
                aggregators[name] = filtered(metric.filter.to_druid(), aggregator)
        post_aggregators += native.post_aggregators
    return aggregators, post_aggregators


def _having(having: Having) -> Json:
    specs = [
        {"type": comparison, "aggregation": having.metric, "value": having.value}
        for comparison in COMPARISONS[having.comparison]
    ]
    return specs[0] if len(specs) == 1 else {"type": "or", "havingSpecs": specs}


def _limit(plan: Plan) -> Json:
    report = plan.report
    if not report.group_by:
        return {"type": "default", "limit": plan.row_limit}
    kinds = {dimension.name: dimension.kind.value for dimension in report.group_by}
    # One more than may be answered shows that there are too many. Druid orders by all the dimensions of itself.
    limit: Json = {"type": "default", "limit": report.limit or plan.row_limit + 1}
    names = [order.column for order in report.order_by if order.column != START_TIME or plan.buckets is not None]
    if not names:
        return limit
    descending = {order.column for order in report.order_by if order.descending}
    rest = [*([START_TIME] if plan.buckets is not None else []), *kinds]
    limit["columns"] = [
        {
            "dimension": LABEL if name == START_TIME else name,
            "direction": "descending" if name in descending else "ascending",
            "dimensionOrder": "lexicographic" if kinds.get(name) == "STRING" else "numeric",
        }
        for name in dict.fromkeys([*names, *rest])
    ]
    return limit


def _granularity(buckets: Buckets) -> Json:
    granularity: Json = {"type": "period", "period": buckets.granularity.period, "timeZone": buckets.zone_id}
    return granularity | ({"origin": _instant(buckets.labels[0])} if buckets.granularity.clock else {})


def _expression(name: str, expression: str) -> Json:
    return {"type": "expression", "name": name, "expression": expression, "outputType": "LONG"}


def _label(buckets: Buckets) -> str:
    """Return the expression for a row's label; nothing in it is a text of the caller's."""
    period = buckets.granularity.period
    if not buckets.wall_clock:
        origin = f"'{_instant(buckets.labels[0])}'" if buckets.granularity.clock else "null"
        return f"timestamp_floor(\"__time\", '{period}', {origin}, '{buckets.zone_id}')"
    offset = _offset(buckets.wall_clock)
    floored = f"timestamp_floor(\"__time\" + {offset}, '{period}', null, 'UTC')"
    return f"{floored} - {offset}" if buckets.granularity.clock else floored


def _offset(spans: Sequence[Span]) -> str:
    *earlier, last = spans
    cases = "".join(f'"__time" < {span.end}, {span.offset}, ' for span in earlier)
    return f"case_searched({cases}{last.offset})"
