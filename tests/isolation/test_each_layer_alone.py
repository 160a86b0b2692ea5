"""Four things each keep one organization's rows from another; here each is alone, the other three switched off.

The stand-in has rows of two organizations and answers every query by its own filter alone: what the gateway lets
through is what leaks.
"""

import copy
import pickle
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from mypy import api as mypy
from structlog.testing import capture_logs

from gateway.druid import tenant_guard
from gateway.query import compile as compiler
from gateway.query.compile import DruidQuery
from gateway.tenancy.organization_id import OrganizationId
from gateway.tenancy.tenant import Tenant
from tests.isolation.druid_filters import matches
from tests.isolation.stand_in import StandIn, standing_in
from tests.serving import D, Gateway, P, T, serving, settings_for
from tests.tenants import tenant_of

ROWS = [
    {"owner_organization_id": owner, "room_ids": [f"room of {owner}"], "involved_organization_ids": [owner, P]}
    for owner in (D, T)
]
OF_T, OF_D_WITH_P = tenant_of(T), tenant_of(D, P)
SECRET = f"room of {T}"
"""It is in a row of T's, and nowhere else."""
ESCAPE = {
    "type": "or",
    "fields": [
        {"type": "selector", "dimension": "owner_organization_id", "value": T},
        {"type": "not", "field": {"type": "selector", "dimension": "owner_organization_id", "value": None}},
    ],
}


def report(*group_by: str) -> dict[str, Any]:
    return {
        "interval": {"start": "2019-01-01", "end": "2019-01-02"},
        "group_by": list(group_by),
        "aggregations": [{"type": "count"}],
        "filters": ESCAPE,
    }


def druid(query: dict[str, Any]) -> list[Any]:
    """Answer as Druid would: one row a row that matches, or how many there are."""
    found = [row for row in ROWS if matches(query["filter"], row)]
    if query["queryType"] == "timeseries":
        return [{"timestamp": "2019-01-01T00:00:00.000Z", "result": {"count": len(found)}}]
    names = [dimension["dimension"] for dimension in query["dimensions"]]
    return [[*(row[name][0] if isinstance(row[name], list) else row[name] for name in names), 1] for row in found]


class Attack:
    """Asks a gateway whose layers a test switches off one by one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gateway: Gateway, stand_in: StandIn) -> None:
        self._monkeypatch = monkeypatch
        self._gateway = gateway
        self.druid = stand_in

    def without_compiler(self, filters: Callable[[Any, Any], list[Any]] = lambda *_: []) -> None:
        """The compiler forgets the tenant, or writes something else in its place."""
        self._monkeypatch.setattr(compiler, "tenant_filters", filters)

    def without_check_of_queries(self) -> None:
        self._monkeypatch.setattr(tenant_guard, "check_query", lambda _: None)

    def without_check_of_rows(self) -> None:
        self._monkeypatch.setattr(tenant_guard, "check_rows", lambda *_: None)

    def rewrite(self, change: Callable[[DruidQuery], DruidQuery]) -> None:
        """Something between the compiler and the broker changes queries."""
        compiled = compiler.compile_report
        self._monkeypatch.setattr(compiler, "compile_report", lambda plan: change(compiled(plan)))

    async def ask(self, body: dict[str, Any], *, caller: str = D, about: str = D) -> tuple[int, str]:
        headers = {"Authorization": f"Token {self._gateway.tokens[caller]}"}
        url = self._gateway.url + self._gateway.path(about)
        async with ClientSession() as session, session.post(url, json=body, headers=headers) as response:
            return response.status, await response.text()


@pytest.fixture
async def attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Attack]:
    async with standing_in() as stand_in, serving(settings_for(tmp_path, stand_in.url)) as gateway:
        stand_in.answer = druid
        yield Attack(monkeypatch, gateway, stand_in)


async def test_with_every_layer_off_there_is_a_leak_to_see(attack: Attack) -> None:
    attack.without_compiler()
    attack.without_check_of_queries()
    attack.without_check_of_rows()

    assert SECRET in (await attack.ask(report("room_ids", "owner_organization_id")))[1]
    assert '"data":[["2019-01-01T00:00:00.000+00:00",2]]' in (await attack.ask(report()))[1]


async def test_the_type_alone_keeps_out_who_has_no_access(attack: Attack) -> None:
    attack.without_compiler()
    attack.without_check_of_queries()
    attack.without_check_of_rows()

    for caller, about in ((T, D), (P, D), (D, T)):
        assert (await attack.ask(report("room_ids"), caller=caller, about=about))[0] == 403
    assert attack.druid.queries == []


def test_no_tenant_is_made_but_by_authorize() -> None:
    tenant = tenant_of(D)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: Tenant(OrganizationId(T), None),  # type: ignore[call-arg]  # which is the point
        lambda: Tenant(T, None, seal=object()),  # type: ignore[arg-type]  # which is the point
        lambda: replace(tenant, owner_organization_id=OrganizationId(T)),
        lambda: copy.copy(tenant),
        lambda: copy.deepcopy(tenant),
        lambda: pickle.dumps(tenant),
        lambda: type("Other", (Tenant,), {}),
        lambda: setattr(tenant, "owner_organization_id", T),
    )
    for attempt in attempts:
        with pytest.raises((TypeError, AttributeError)):
            attempt()
    assert tenant.owner_organization_id == D


def test_no_query_without_a_tenant_passes_the_type_checker(tmp_path: Path) -> None:
    file = tmp_path / "forgetful.py"
    file.write_text(
        """
from gateway.tenancy.tenant import Tenant
from gateway.query.compile import DruidQuery
from gateway.query.plan import Plan, plan
from gateway.query.schema import ReportSchema
from gateway.query.report import Report
from gateway.query.aggregations import Uniques
from gateway.tenancy.organization_id import OrganizationId

def forget(report: Report, organization_id: OrganizationId, tenant: Tenant, schema: ReportSchema) -> None:
    plan(report, tenant, schema, Uniques.SKETCH, now=0)
    plan(report, None, schema, Uniques.SKETCH, now=0)
    plan(report, organization_id, schema, Uniques.SKETCH, now=0)
    Plan(dataset=schema.dataset, report=report, buckets=None, row_limit=1, uniques=Uniques.SKETCH)
    DruidQuery({}, dataset=schema.dataset)
    Tenant(organization_id, None)
"""
    )
    said, complaints, _ = mypy.run(["--strict", "--no-error-summary", str(file)])
    assert complaints == ""
    assert [int(line.split(":")[1]) for line in said.splitlines() if ": error:" in line] == [12, 13, 14, 15, 16]


async def test_the_compiler_alone_keeps_foreign_rows_out(attack: Attack) -> None:
    attack.without_check_of_queries()
    attack.without_check_of_rows()

    for body in (report("room_ids"), report("room_ids", "owner_organization_id"), report()):
        status, text = await attack.ask(body)
        assert status == 200
        assert SECRET not in text
        assert text.count("2019-01-01T") == 1
    assert '"data":[["2019-01-01T00:00:00.000+00:00",1]]' in text


def _beside(query: DruidQuery) -> DruidQuery:
    return replace(query, native=query.native | {"filter": {"type": "or", "fields": query.native["filter"]["fields"]}})


def _within(query: DruidQuery) -> DruidQuery:
    return replace(query, native=query.native | {"filter": {"type": "or", "fields": [query.native["filter"], ESCAPE]}})


def _hidden(query: DruidQuery) -> DruidQuery:
    column = {"type": "expression", "name": "owner_organization_id", "expression": f"'{D}'", "outputType": "STRING"}
    return replace(query, native=query.native | {"virtualColumns": [column]})


REWRITES: dict[str, Callable[[DruidQuery], DruidQuery]] = {
    "the tenant beside the caller's filter": _beside,
    "the tenant within an or": _within,
    "no filter": lambda query: replace(query, native={k: v for k, v in query.native.items() if k != "filter"}),
    "another filter": lambda query: replace(query, native=query.native | {"filter": ESCAPE}),
    "a column that hides the owner's": _hidden,
    "another table": lambda query: replace(query, native=query.native | {"dataSource": "all_chat_sessions"}),
    "a table made of a query": lambda query: replace(
        query, native=query.native | {"dataSource": {"type": "query", "query": query.native}}
    ),
    "a scan": lambda query: replace(query, native=query.native | {"queryType": "scan"}),
    "another tenant's query": lambda query: replace(query, tenant=OF_T),
    "a partner forgotten": lambda query: replace(query, tenant=OF_D_WITH_P),
    "an unknown key": lambda query: replace(query, native=query.native | {"subtotalsSpec": [[]]}),
}


@pytest.mark.parametrize("fault", REWRITES)
async def test_the_check_of_queries_alone_refuses(attack: Attack, fault: str) -> None:
    attack.without_check_of_rows()
    attack.rewrite(REWRITES[fault])

    with capture_logs() as lines:
        status, text = await attack.ask(report("room_ids"))
    assert status == 500
    assert SECRET not in text
    assert attack.druid.queries == []
    assert [line["log_level"] for line in lines if line["event"] == "tenancy_violated"] == ["critical"]


async def test_the_check_of_queries_alone_refuses_a_compiler_that_forgets(attack: Attack) -> None:
    attack.without_compiler()
    attack.without_check_of_rows()

    for body in (report("room_ids"), report(), report() | {"totals": True}):
        assert (await attack.ask(body))[0] == 500
    assert attack.druid.queries == []


async def test_the_check_of_rows_alone_keeps_foreign_rows_in(attack: Attack) -> None:
    attack.without_compiler()
    attack.without_check_of_queries()

    for body in (report("owner_organization_id"), report("room_ids", "owner_organization_id")):
        with capture_logs() as lines:
            status, text = await attack.ask(body)
        assert status == 500
        assert SECRET not in text
        assert "tenancy_violated" in [line["event"] for line in lines]
    assert len(attack.druid.queries) == 2


@pytest.mark.parametrize("owner", [T, None, "", D.upper(), [D], [D, T]])
async def test_whatever_druid_answers_a_row_of_another_owner_goes_nowhere(attack: Attack, owner: Any) -> None:
    attack.druid.answer = lambda _: [[D, 1], [owner, 1]]
    assert (await attack.ask(report("owner_organization_id")))[0] == 500
