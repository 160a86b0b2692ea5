"""The probes for operators, and the cached time range of a data set."""

import asyncio

import pytest

from gateway.web import datasets, health
from tests.http import stand_in
from tests.http.asking import Client
from tests.http.conftest import Start
from tests.http.stand_in import StandIn
from tests.serving import Answer, D, P, T


async def test_many_readiness_probes_cause_one_check(client: Client, druid_stand_in: StandIn) -> None:
    await asyncio.sleep(health.READINESS_SECONDS)
    druid_stand_in.probes = 0
    answers = await asyncio.gather(*(client.send("GET", "/readyz") for _ in range(20)))
    answers += [await client.send("GET", "/readyz") for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert answers[0].json["checks"] == {"accounts": True, "druid": True, "data_sets": True}
    assert druid_stand_in.probes == 1


async def test_readiness_is_at_most_a_second_old(client: Client, druid_stand_in: StandIn) -> None:
    assert (await client.send("GET", "/readyz")).status == 200
    druid_stand_in.healthy = False
    await asyncio.sleep(health.READINESS_SECONDS)
    answer = await client.send("GET", "/readyz")
    assert answer.status == 503
    assert answer.json["checks"] == {"accounts": True, "druid": False, "data_sets": True}


async def _describe(client: Client, organization: str = D, caller: str = D) -> Answer:
    headers = {"Authorization": f"Token {client.gateway.tokens[caller]}"}
    return await client.send("GET", client.gateway.path(organization), headers=headers)


async def test_the_time_range_is_queried_once_per_tenant_in_the_heavy_lane(
    client: Client, druid_stand_in: StandIn
) -> None:
    druid_stand_in.answer = stand_in.respond(stand_in.row(rows=1, first=0, last=86_400_000))
    for organization, caller in ((D, D), (P, D), (P, P)) * 3:
        answer = await _describe(client, organization, caller)
        assert answer.status == 200
        assert answer.json["time_range"]["last"].startswith("1970-01-02T00:00:00.000")
    assert len(druid_stand_in.queries) == 3
    assert {asked.query["context"]["lane"] for asked in druid_stand_in.queries} == {"heavy"}
    assert (await _describe(client, T, D)).status == 403


async def test_a_time_range_is_remembered_for_a_short_time(
    start: Start, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "TIME_RANGE_SECONDS", 0.2)
    client = await start(druid_stand_in.url)
    druid_stand_in.answer = stand_in.respond(stand_in.row(rows=0))
    for _ in range(2):
        assert (await _describe(client)).json["time_range"] is None
        await asyncio.sleep(0.25)
    assert len(druid_stand_in.queries) == 2
