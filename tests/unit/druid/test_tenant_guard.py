"""The last look: it lets the compiler's queries pass, and none that could see another organization's rows."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from gateway.druid.tenant_guard import TenancyViolated, check_query, check_rows
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_report, compile_time_range, compile_totals
from gateway.query.parse import parse
from gateway.query.plan import plan
from gateway.query.report import Limits
from gateway.query.schema import compile_schema
from gateway.tenancy.tenant import Tenant
from tests.datasets import DATASETS
from tests.tenants import DOCUMENTED, PARTNER, tenant_of

Json = dict[str, Any]
DATASET = DATASETS["chat_sessions"]
SCHEMA = compile_schema(DATASET, Limits())
OWN, OF_PARTNER = tenant_of(), tenant_of(partner=PARTNER)
BODY: Json = {
    "interval": {"start": "2019-03-30", "end": "2019-04-02", "time_zone": "Europe/Helsinki"},
    "granularity": "six_hour",
    "group_by": ["scope", "owner_organization_id"],
    "aggregations": [{"type": "count"}, {"type": "sum", "fields": ["sales"]}],
    "filters": {"type": "selector", "dimension": "scope", "value": "org"},
    "having": [{"type": "greaterThan", "metric": "count", "value": 0}],
    "order_by": [{"column": "count"}],
}


def compiled(tenant: Tenant) -> list[DruidQuery]:
    made = plan(parse(BODY, SCHEMA), tenant, DATASET, SCHEMA.limits, Uniques.SKETCH)
    return [compile_report(made), compile_totals(made), compile_time_range(tenant, DATASET)]


def selector(column: str, value: object) -> Json:
    return {"type": "selector", "dimension": column, "value": value}


def set_filter(value: object) -> Callable[[Json], None]:
    return lambda native: native.update(filter=value)


OWNER = selector("owner_organization_id", DOCUMENTED)
INVOLVED = selector("involved_organization_ids", PARTNER)
OTHER = selector("owner_organization_id", PARTNER)
ASKED = selector("scope", "org")


def conjunction(*fields: Json) -> Json:
    return {"type": "and", "fields": [*fields]}


@pytest.mark.parametrize("tenant", [OWN, OF_PARTNER])
def test_what_is_compiled_passes(tenant: Tenant) -> None:
    for query in compiled(tenant):
        check_query(query)


FORGED: dict[str, Callable[[Json], object]] = {
    "no filter": lambda native: native.pop("filter"),
    "filter null": set_filter(None),
    "filter empty": set_filter({}),
    "filter a list": set_filter([OWNER, INVOLVED]),
    "the selector alone": set_filter(OWNER),
    "and of nothing": set_filter(conjunction()),
    "and without fields": set_filter({"type": "and"}),
    "fields null": set_filter({"type": "and", "fields": None}),
    "fields an object": set_filter({"type": "and", "fields": {"0": OWNER}}),
    "fields a text": set_filter({"type": "and", "fields": "owner"}),
    "only what was asked": set_filter(conjunction(ASKED)),
    "tenant not first": set_filter(conjunction(ASKED, OWNER, INVOLVED)),
    "tenant one level deeper": set_filter(conjunction(conjunction(OWNER, INVOLVED), ASKED)),
    "or outermost": set_filter({"type": "or", "fields": [OWNER, INVOLVED, ASKED]}),
    "not outermost": set_filter({"type": "not", "field": conjunction(OWNER, INVOLVED)}),
    "another key beside fields": set_filter({**conjunction(OWNER, INVOLVED), "optimize": False}),
    "another owner": set_filter(conjunction(OTHER, INVOLVED)),
    "owner null": set_filter(conjunction(selector("owner_organization_id", None), INVOLVED)),
    "owner in a list": set_filter(
        conjunction({"type": "in", "dimension": "owner_organization_id", "values": [DOCUMENTED, PARTNER]}, INVOLVED)
    ),
    "owner by another column": set_filter(conjunction(selector("user_organization_id", DOCUMENTED), INVOLVED)),
    "owner through an extraction": set_filter(
        conjunction({**OWNER, "extractionFn": {"type": "strlen"}}, INVOLVED, ASKED)
    ),
    "no one involved": set_filter(conjunction(OWNER, ASKED)),
    "another one involved": set_filter(conjunction(OWNER, selector("involved_organization_ids", DOCUMENTED))),
    "involved before owner": set_filter(conjunction(INVOLVED, OWNER)),
    "no data source": lambda native: native.pop("dataSource"),
    "another data source": lambda native: native.update(dataSource="visitor_sessions"),
    "a table": lambda native: native.update(dataSource={"type": "table", "name": "chat_sessions"}),
    "a union": lambda native: native.update(dataSource={"type": "union", "dataSources": ["chat_sessions", "x"]}),
    "a subquery": lambda native: native.update(dataSource={"type": "query", "query": copy.deepcopy(native)}),
    "a join": lambda native: native.update(dataSource={"type": "join", "left": "chat_sessions", "right": "x"}),
    "a scan": lambda native: native.update(queryType="scan"),
    "a search": lambda native: native.update(queryType="search"),
    "no query type": lambda native: native.pop("queryType"),
    "an unknown key": lambda native: native.update(subtotalsSpec=[["scope"]]),
    "a query in a query": lambda native: native.update(query={"queryType": "scan"}),
    "two filters": lambda native: native.update(filters=OTHER),
    **{
        f"a virtual column {name}": lambda native, name=name: native.update(  # type: ignore[misc]
            virtualColumns=[{"type": "expression", "name": name, "expression": f"'{DOCUMENTED}'"}]
        )
        for name in ("owner_organization_id", "involved_organization_ids", "scope", "__time", "", None, 5)
    },
    "a virtual column without a name": lambda native: native.update(virtualColumns=[{"type": "expression"}]),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_query_that_could_see_more_is_refused(forge: Callable[[Json], object]) -> None:
    for query in compiled(OF_PARTNER):
        forged = DruidQuery(copy.deepcopy(query.native), query.tenant, query.dataset, query.columns)
        forge(forged.native)
        with pytest.raises(TenancyViolated):
            check_query(forged)


def test_one_tenants_query_is_refused_for_another() -> None:
    for others in (OF_PARTNER, tenant_of(PARTNER), tenant_of(PARTNER, DOCUMENTED)):
        for query in compiled(OWN):
            with pytest.raises(TenancyViolated):
                check_query(DruidQuery(query.native, others, query.dataset, query.columns))


def test_one_data_sets_query_is_refused_for_another() -> None:
    for query in compiled(OWN):
        with pytest.raises(TenancyViolated):
            check_query(DruidQuery(query.native, query.tenant, DATASETS["visitor_sessions"], query.columns))


def query_by(*dimensions: str, metrics: tuple[str, ...] = ()) -> DruidQuery:
    native = {"dimensions": [{"type": "default", "dimension": name, "outputName": name} for name in dimensions]}
    return DruidQuery(native, OWN, DATASET, (*dimensions, *metrics))


@pytest.mark.parametrize(
    "row", [["org", PARTNER, 1], ["org", None, 1], ["org", [DOCUMENTED], 1], ["org"], [], {}, None]
)
def test_a_row_that_is_not_shown_to_be_the_tenants_is_refused(row: object) -> None:
    query = query_by("scope", "owner_organization_id", metrics=("count",))
    check_rows(query, [["org", DOCUMENTED, 1]])
    check_rows(query, [])
    with pytest.raises(TenancyViolated):
        check_rows(query, [["org", DOCUMENTED, 1], row])


def test_rows_that_name_no_owner_pass() -> None:
    check_rows(query_by("scope", metrics=("count",)), [["org", 1]])
    check_rows(compiled(OWN)[1], [{"timestamp": "2019-01-01T00:00:00.000Z", "result": {"count": 1}}])


def test_a_metric_may_be_called_like_the_owners_column() -> None:
    check_rows(query_by("scope", metrics=("owner_organization_id",)), [["org", 5]])
