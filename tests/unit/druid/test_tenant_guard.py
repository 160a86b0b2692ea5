"""The guard: the compiler's queries pass, and none that could see another organization's rows."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from mypy import api as mypy
from structlog.testing import capture_logs

from gateway.catalog.id_format import INTEGER
from gateway.catalog.model import Kind, TenantColumns
from gateway.druid.tenant_guard import GuardedQuery, TenancyViolated, TenantGuard, check_query, check_rows
from gateway.errors import InternalError
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_report, compile_time_range, compile_totals
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import plan
from gateway.query.schema import compile_schema
from gateway.tenancy.tenant import Tenant
from tests.datasets import DATASETS, NOW
from tests.tenants import DOCUMENTED, PARTNER, tenant_of
from tests.unit.druid.links import requested, responding, routed

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
    made = plan(parse(BODY, SCHEMA), tenant, SCHEMA, Uniques.SKETCH, now=NOW)
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
def test_compiled_queries_pass(tenant: Tenant) -> None:
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
def test_a_query_that_could_see_more_is_rejected(forge: Callable[[Json], object]) -> None:
    for query in compiled(OF_PARTNER):
        forged = DruidQuery(copy.deepcopy(query.native), query.tenant, query.dataset, query.columns)
        forge(forged.native)
        with pytest.raises(TenancyViolated):
            check_query(forged)


def test_a_query_of_one_tenant_is_rejected_for_another() -> None:
    for others in (OF_PARTNER, tenant_of(PARTNER), tenant_of(PARTNER, DOCUMENTED)):
        for query in compiled(OWN):
            with pytest.raises(TenancyViolated):
                check_query(DruidQuery(query.native, others, query.dataset, query.columns))


def test_a_query_of_one_data_set_is_rejected_for_another() -> None:
    for query in compiled(OWN):
        with pytest.raises(TenancyViolated):
            check_query(DruidQuery(query.native, query.tenant, DATASETS["visitor_sessions"], query.columns))


def query_by(*dimensions: str, metrics: tuple[str, ...] = ()) -> DruidQuery:
    native = {"dimensions": [{"type": "default", "dimension": name, "outputName": name} for name in dimensions]}
    return DruidQuery(native, OWN, DATASET, (*dimensions, *metrics))


@pytest.mark.parametrize(
    "row", [["org", PARTNER, 1], ["org", None, 1], ["org", [DOCUMENTED], 1], ["org"], [], {}, None]
)
def test_a_row_without_the_tenants_owner_is_rejected(row: object) -> None:
    query = query_by("scope", "owner_organization_id", metrics=("count",))
    check_rows(query, [["org", DOCUMENTED, 1]])
    check_rows(query, [])
    with pytest.raises(TenancyViolated):
        check_rows(query, [["org", DOCUMENTED, 1], row])


def test_rows_without_an_owner_dimension_pass() -> None:
    check_rows(query_by("scope", metrics=("count",)), [["org", 1]])
    check_rows(compiled(OWN)[1], [{"timestamp": "2019-01-01T00:00:00.000Z", "result": {"count": 1}}])


def test_a_metric_may_have_the_name_of_the_owner_column() -> None:
    check_rows(query_by("scope", metrics=("owner_organization_id",)), [["org", 5]])


NUMBERED = replace(DATASET, tenant=TenantColumns("owner_organization_id", None, Kind.LONG, INTEGER))
SEVEN = tenant_of("7", id_format=INTEGER)


def test_a_number_is_compared_with_the_text_of_the_organizations_id() -> None:
    """As a real Druid shows, this matches 7 in a column of longs, and neither 007 nor 7.0 in one of strings."""
    query = compile_time_range(SEVEN, NUMBERED)
    assert query.native["filter"] == conjunction(selector("owner_organization_id", "7"))
    check_query(query)


@pytest.mark.parametrize("id_", ["007", "7.0", "0", "9223372036854775808", DOCUMENTED])
def test_a_tenant_whose_id_is_no_number_is_rejected(id_: str) -> None:
    other = tenant_of(id_, id_format=replace(INTEGER, accepts=lambda _: True))
    with pytest.raises(TenancyViolated):
        check_query(compile_time_range(other, NUMBERED))


@pytest.mark.parametrize("owner", [8, 7.0, "7", True, None, [7]])
def test_a_row_with_another_number_is_rejected(owner: object) -> None:
    query = replace(query_by("owner_organization_id", metrics=("count",)), tenant=SEVEN, dataset=NUMBERED)
    check_rows(query, [[7, 1]])
    with pytest.raises(TenancyViolated):
        check_rows(query, [[7, 1], [owner, 1]])


async def test_the_bytes_that_are_sent_are_the_query_that_was_checked() -> None:
    next_link = responding()
    request = routed(requested(compiled(OWN)[0])).with_context(queryId="id", traceparent="00-a-b-01")
    await TenantGuard(next_link).run(request)
    [sent] = next_link.requests
    assert orjson.loads(sent.body) == request.query.native
    assert sent.headers == {"traceparent": "00-a-b-01"}
    # The native query is a mutable object that earlier links have too: a change to it comes too late.
    request.query.native["filter"] = conjunction(OTHER)
    check_query(replace(request.query, native=orjson.loads(sent.body)))


async def test_a_query_cannot_be_modified_after_the_guard() -> None:
    next_link = responding()
    request = routed(requested(compiled(OWN)[0]))
    await TenantGuard(next_link).run(request)
    [sent] = next_link.requests
    assert type(sent) is GuardedQuery
    attempts: tuple[Callable[[], object], ...] = (
        lambda: GuardedQuery(request),  # type: ignore[call-arg]  # which is the point
        lambda: GuardedQuery(request, seal=object()),  # type: ignore[arg-type]  # which is the point
        lambda: replace(sent, body=b"{}"),
        lambda: copy.copy(sent),
        lambda: copy.deepcopy(sent),
        lambda: pickle.dumps(sent),
        lambda: type("Other", (GuardedQuery,), {}),
        lambda: setattr(sent, "body", b"{}"),
        lambda: cast("Any", sent.headers).update({"a": "b"}),
        lambda: cast("Any", sent.body).__setitem__(0, 0),
    )
    for attempt in attempts:
        with pytest.raises((TypeError, AttributeError)):
            attempt()


def test_the_last_link_takes_guarded_queries_only(tmp_path: Path) -> None:
    file = tmp_path / "forgetful.py"
    file.write_text(
        """
from gateway.druid.api.send import Send
from gateway.druid.chain import RoutedRequest
from gateway.druid.query_context import AddContext
from gateway.druid.tenant_guard import GuardedQuery, TenantGuard

async def forget(send: Send, request: RoutedRequest, guarded: GuardedQuery) -> None:
    await send.run(guarded)
    AddContext(TenantGuard(send))
    await send.run(request)
    AddContext(send)
"""
    )
    said, complaints, _ = mypy.run(["--strict", "--no-error-summary", str(file)])
    assert complaints == ""
    assert [int(line.split(":")[1]) for line in said.splitlines() if ": error:" in line] == [10, 11]


async def test_a_query_that_is_rejected_is_not_sent() -> None:
    next_link = responding()
    forged = DruidQuery(query_by("scope").native | {"context": {}}, OWN, DATASET)
    with capture_logs() as lines, pytest.raises(InternalError):
        await TenantGuard(next_link).run(routed(requested(forged)))
    assert next_link.requests == []
    assert [(line["event"], line["log_level"]) for line in lines] == [("tenancy_violated", "critical")]


async def test_a_response_with_a_row_of_another_owner_goes_no_further() -> None:
    rows = [["org", DOCUMENTED, 1], ["org", PARTNER, 1]]
    [report, *_] = compiled(OWN)
    report.native["dimensions"] = query_by("scope", "owner_organization_id").native["dimensions"]
    with capture_logs() as lines, pytest.raises(InternalError):
        await TenantGuard(responding(*rows)).run(routed(requested(report)))
    assert [(line["event"], line["log_level"]) for line in lines] == [("tenancy_violated", "critical")]
