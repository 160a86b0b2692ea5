"""What Druid receives and what the caller gets: the tenant's filter, large responses, and the two probes."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydruid.utils.filters import Filter as DruidFilter
from structlog.testing import capture_logs

from gateway.query import compile as compiler
from tests.http.asking import BY_OWNER, COUNT, Client, assert_problem
from tests.http.conftest import Start, StartProcess
from tests.http.stalls import measured_stalls
from tests.http.stand_in import StandIn, respond, respond_with
from tests.http.test_slow_callers import BY_TEAM, MEBIBYTE
from tests.http.test_slow_callers import rows as large_rows
from tests.serving import D, P, T

OWNER = {"type": "selector", "dimension": "owner_organization_id", "value": D}
INVOLVED = {"type": "selector", "dimension": "involved_organization_ids", "value": P}


async def test_the_tenants_filter_comes_first_and_the_callers_stays_inside(
    client: Client, druid_stand_in: StandIn
) -> None:
    asked = {"type": "or", "fields": [OWNER, {"type": "selector", "dimension": "owner_organization_id", "value": T}]}
    await client.post(COUNT | {"filters": asked})
    [query] = druid_stand_in.queries
    assert query.query["filter"] == {"type": "and", "fields": [OWNER, asked]}


async def test_a_report_on_a_partner_filters_by_owner_and_partner(client: Client, druid_stand_in: StandIn) -> None:
    await client.post(organization=P, token=client.gateway.tokens[D])
    [query] = druid_stand_in.queries
    assert query.query["filter"] == {"type": "and", "fields": [OWNER, INVOLVED]}


@pytest.mark.parametrize("broken", [[], [INVOLVED], [{**OWNER, "value": T}]])
async def test_a_compiler_that_forgets_the_tenant_is_stopped_before_druid(
    client: Client, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, broken: list[dict[str, Any]]
) -> None:
    filters = [DruidFilter(**each) for each in broken] or [DruidFilter(type="selector", dimension="scope", value="org")]
    monkeypatch.setattr(compiler, "tenant_filters", lambda *_: filters)
    with capture_logs() as lines:
        assert_problem(await client.post(), 500, "internal")
    assert druid_stand_in.queries == []
    assert [line["log_level"] for line in lines if line["event"] == "tenancy_violated"] == ["critical"]


@pytest.mark.parametrize("foreign", [[T, 1], [None, 1], [], {"owner_organization_id": D}])
async def test_a_row_of_another_organization_is_500_and_not_returned(
    client: Client, druid_stand_in: StandIn, foreign: Any
) -> None:
    druid_stand_in.answer = respond([[D, 7], foreign])
    with capture_logs() as lines:
        answer = await client.post(BY_OWNER)
    assert_problem(answer, 500, "internal")
    assert T not in answer.body.decode()
    assert [line["log_level"] for line in lines if line["event"] == "tenancy_violated"] == ["critical"]


async def test_a_large_response_does_not_delay_other_callers(
    start_process: StartProcess, druid_stand_in: StandIn
) -> None:
    metric = {"type": "sum", "fields": ["sales"]}
    body = COUNT | {"group_by": ["chat_session_id", "chat_type"], "aggregations": [metric]}
    # In the order of the query's columns (dimensions, the raw sum, the sum), and without spaces, as Druid writes JSON.
    rows = [[f"session-{n:08}-of-a-length-as-ids-have-it", "visitor", n / 7, n / 7] for n in range(100_000)]
    druid_stand_in.answer = respond_with(orjson.dumps(rows))
    async with start_process(druid_stand_in.url) as process:
        client = process.client
        waits = []
        asking = asyncio.create_task(client.post(body))
        while not asking.done():
            before = time.perf_counter()
            assert (await client.send("GET", "/healthz")).status == 200
            waits.append(time.perf_counter() - before)
        answer = await asking
    assert len(answer.data) == 100_000
    assert answer.data[7] == ["2019-01-01T00:00:00.000+02:00", rows[7][0], "visitor", 1.0]
    print(f"while 100,000 rows were answered others waited {1000 * max(waits):.0f} ms at most ({len(waits)} asked)")
    # No step of the gateway may take 20 ms. On a busy machine everything takes longer, but still not at once.
    assert max(waits) < max(0.1, sum(waits) / 3)


async def test_a_large_response_stalls_nobody(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = respond_with(large_rows(8 * MEBIBYTE))
    async with measured_stalls() as stalls:
        answer = await client.post(BY_TEAM)
    assert answer.status == 200
    # The client and the stand-in for Druid are in the same event loop.
    assert stalls.longest < 0.08


async def test_healthz_answers_while_the_process_runs(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.healthy = False
    answer = await client.send("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert answer.headers["x-request-id"]


async def test_readyz_is_200_if_all_checks_pass(client: Client) -> None:
    answer = await client.send("GET", "/readyz")
    assert (answer.status, answer.json) == (
        200,
        {
            "status": "ready",
            "checks": {"accounts": True, "druid": True, "data_sets": True},
            "completeness": "off",
            "unknown_data_sources": [],
            "unavailable_data_sets": {},
        },
    )


async def test_readyz_is_503_if_druid_is_not_healthy(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.healthy = False
    answer = await client.send("GET", "/readyz")
    assert (answer.status, answer.json["checks"]) == (503, {"accounts": True, "druid": False, "data_sets": True})


async def test_readyz_is_503_if_druid_is_down(start: Start) -> None:
    client = await start("http://127.0.0.1:1")
    answer = await client.send("GET", "/readyz")
    assert (answer.status, answer.json["checks"]) == (503, {"accounts": True, "druid": False, "data_sets": False})
    assert answer.json["unavailable_data_sets"] == {"chat_sessions": ["not_compared"]}


def break_accounts(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "accounts.db")) as database:
        database.executescript("DROP TABLE tokens; DROP TABLE alembic_version;")


async def test_readyz_is_503_if_the_account_database_has_another_schema(client: Client, tmp_path: Path) -> None:
    break_accounts(tmp_path)
    answer = await client.send("GET", "/readyz")
    assert (answer.status, answer.json["checks"]) == (503, {"accounts": False, "druid": True, "data_sets": True})


async def test_without_the_account_database_every_request_is_503(
    client: Client, druid_stand_in: StandIn, tmp_path: Path
) -> None:
    break_accounts(tmp_path)
    assert_problem(await client.post(), 503, "accounts_unavailable")
    assert druid_stand_in.queries == []
