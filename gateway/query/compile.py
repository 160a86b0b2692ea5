"""From a Plan to native Druid queries.

See https://druid.apache.org/docs/33.0.0/querying/timeseriesquery and …/groupbyquery. pydruid builds the queries; what
it does not support is set on its `query_dict`. Every query gets new pydruid objects, since pydruid modifies its
arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import orjson
from pydruid.query import QueryBuilder
from pydruid.utils.aggregators import longmax, longmin
from pydruid.utils.filters import Filter as DruidFilter

from gateway.catalog.model import TIME_PARTS, Dataset, Dimension
from gateway.errors import Forbidden
from gateway.query import expressions
from gateway.query.group_selection import LABEL, group_conditions, limit_spec, page_context
from gateway.query.literals import Json
from gateway.query.native_metrics import native_metrics
from gateway.query.plan import Plan
from gateway.query.sources import lookup_columns
from gateway.query.time import FIRST_YEAR, LAST_YEAR, Interval
from gateway.tenancy.tenant import Tenant


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


_Base = tuple[Json, tuple[str, ...]]
"""A query that lacks its interval and the tenant's filters, and its columns."""


def compile_queries(plan: Plan) -> dict[str, DruidQuery]:
    """Return the queries for the answer by name, all of which can run at the same time."""
    queries = {"report": compile_report(plan)}
    if plan.has_two_queries:
        queries["comparison"] = compile_report(plan.earlier())
    if plan.report.totals:
        queries["totals"] = compile_totals(plan)
    if plan.groups is not None and plan.report.top is not None and plan.report.top.other:
        others = plan.others()
        queries["other"] = compile_report(others)
        if others.has_two_queries:
            queries["other_comparison"] = compile_report(others.earlier())
    return queries


def compile_report(plan: Plan) -> DruidQuery:
    """Return the query for the rows of the answer, or of one side of a comparison."""
    if plan.has_groups:
        return _group_by(plan)
    return _timeseries(plan, "all" if plan.buckets is None else expressions.granularity(plan.buckets))


def compile_totals(plan: Plan) -> DruidQuery:
    """Return the query for one row over all rows that the report's filter matches."""
    return compile_report(plan.whole())


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
    native, columns = _base(plan, _timeseries_base)
    return DruidQuery(_complete(plan, native) | {"granularity": granularity}, plan.tenant, plan.dataset, columns)


def _timeseries_base(plan: Plan) -> _Base:
    aggregators, post_aggregators = native_metrics(plan)
    query: Json = (
        QueryBuilder()
        .timeseries(
            {
                "datasource": plan.dataset.data_source,
                "intervals": [],
                "granularity": "all",
                "filter": _own_filter(plan),
                "aggregations": aggregators,
                # Druid fills empty buckets only within segments, so the gateway fills all of them.
                "context": {"skipEmptyBuckets": True},
            }
        )
        .query_dict
    )
    return query | {"postAggregations": post_aggregators, **_lookups(plan)}, ()


def _group_by(plan: Plan) -> DruidQuery:
    native, columns = _base(plan, _group_by_base)
    return DruidQuery(_complete(plan, native), plan.tenant, plan.dataset, columns)


def _group_by_base(plan: Plan) -> _Base:
    aggregators, post_aggregators = native_metrics(plan)
    query: Json = (
        QueryBuilder()
        .groupby(
            {
                "datasource": plan.dataset.data_source,
                "intervals": [],
                "granularity": "all",
                "filter": _own_filter(plan),
                "aggregations": aggregators,
                "limit_spec": limit_spec(plan, aggregators),
                "context": {"resultAsArray": True, **page_context(plan)},
            }
        )
        .query_dict
    )
    query |= {"dimensions": [_dimension(dimension) for dimension in plan.report.group_by]}
    if plan.buckets is not None:
        label = {"type": "default", "dimension": LABEL, "outputName": LABEL, "outputType": "LONG"}
        query["dimensions"] = [label, *query["dimensions"]]
    query |= _lookups(plan)
    if conditions := group_conditions(plan, aggregators):
        query["having"] = conditions[0] if len(conditions) == 1 else {"type": "and", "havingSpecs": conditions}
    columns = (
        *(dimension["outputName"] for dimension in query["dimensions"]),
        *aggregators,
        *(each["name"] for each in post_aggregators),
    )
    return query | {"postAggregations": post_aggregators}, columns


def _base(plan: Plan, build: Callable[[Plan], _Base]) -> _Base:
    """Return the parts of a query that neither the interval nor the tenant changes, built once for a report."""
    if plan.compared is not None or plan.groups is not None:
        # The interval, or the groups of `top`, are in the aggregators or the conditions, too.
        return build(plan)
    key = (build, plan.buckets is None, plan.row_limit, plan.uniques)
    known = plan.report.computed
    if key not in known:
        native, columns = build(plan)
        known[key] = orjson.dumps(native), columns
    text, columns = known[key]
    # Read again, so that two queries share nothing that could be modified.
    return orjson.loads(text), columns


def _complete(plan: Plan, native: Json) -> Json:
    """Return the query for the plan's interval and tenant, whose filters come first."""
    tenant = map(DruidFilter.build_filter, tenant_filters(plan.tenant, plan.dataset))
    own: Json = native["filter"]
    query_filter = {"type": "and", "fields": [*tenant, *own["fields"]]}
    native |= {"intervals": _intervals(plan), "filter": query_filter}
    if columns := _columns_of_time(plan):
        native["virtualColumns"] = columns + native.get("virtualColumns", [])
    return native


def _intervals(plan: Plan) -> str | list[str]:
    """Return the interval or, if one query computes both sides of a comparison, both of them without an overlap."""
    if plan.compared is None or plan.has_two_queries:
        return expressions.interval_text(plan.interval)
    first, second = sorted((plan.interval, plan.compared.interval), key=lambda each: (each.start, each.end))
    if first.end < second.start:
        return [expressions.interval_text(each) for each in (first, second)]
    return [expressions.interval_text(_hull(first, second))]


def _hull(first: Interval, second: Interval) -> Interval:
    return Interval(first.start, max(first.end, second.end), first.zone)


def _lookups(plan: Plan) -> Json:
    used = plan.report.dimension_names()
    columns = lookup_columns(each for each in plan.dataset.dimensions if each.name in used)
    return {"virtualColumns": columns} if columns else {}


def _columns_of_time(plan: Plan) -> list[Json]:
    """Return the virtual columns that depend on the interval."""
    columns = []
    if plan.buckets is not None and plan.has_groups:
        columns.append(expressions.label(LABEL, plan.buckets))
    used = plan.report.dimension_names()
    if parts := [name for name in TIME_PARTS if name in used]:
        interval = plan.interval
        if plan.compared is not None and not plan.has_two_queries:
            interval = _hull(*sorted((interval, plan.compared.interval), key=lambda each: each.start))
        columns += expressions.time_parts(parts, interval)
    return columns


def _own_filter(plan: Plan) -> DruidFilter:
    conditions = (plan.report.filter, None if plan.groups is None else plan.groups[0])
    return DruidFilter(type="and", fields=[each.to_druid() for each in conditions if each is not None])


def _dimension(dimension: Dimension) -> Json:
    return {
        "type": "default",
        "dimension": dimension.column,
        "outputName": dimension.name,
        "outputType": dimension.kind.value,
    }
