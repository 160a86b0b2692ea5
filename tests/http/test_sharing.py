"""Identical requests in flight share one query, but keep their own deadlines."""

import asyncio
import json

import aiohttp

from tests.http import stand_in
from tests.http.asking import COUNT, Client, assert_problem
from tests.http.stand_in import StandIn, respond, row
from tests.links import slots
from tests.serving import P, T


class Gate:
    """Delays responses until it is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def answer(self, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        await self.open.wait()
        return await respond(row(count=7))(request)


async def test_identical_reports_share_one_query(client: Client, druid_stand_in: StandIn) -> None:
    gate = Gate()
    druid_stand_in.answer = gate.answer
    asking = [asyncio.create_task(client.post()) for _ in range(5)]
    await druid_stand_in.wait_for(queries=1)
    await asyncio.sleep(0.1)
    gate.open.set()
    answers = await asyncio.gather(*asking)
    assert [answer.data for answer in answers] == [[["2019-01-01T00:00:00.000+02:00", 7]]] * 5
    assert len(druid_stand_in.queries) == 1


async def test_reports_of_different_organizations_share_no_query(client: Client, druid_stand_in: StandIn) -> None:
    gate = Gate()
    druid_stand_in.answer = gate.answer
    asking = [asyncio.create_task(client.post(organization=each)) for each in (P, T)]
    await druid_stand_in.wait_for(queries=2)
    gate.open.set()
    assert [(await each).status for each in asking] == [200, 200]
    owners = {asked.query["filter"]["fields"][0]["value"] for asked in druid_stand_in.queries}
    assert owners == {P, T}


async def test_a_shared_query_ends_with_its_last_caller(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = stand_in.never
    first, last = (asyncio.create_task(client.post()) for _ in range(2))
    await druid_stand_in.wait_for(queries=1)
    await asyncio.sleep(0.1)
    first.cancel()
    await asyncio.sleep(0.2)
    assert druid_stand_in.cancelled == []
    last.cancel()
    await druid_stand_in.wait_for(cancelled=1)
    assert druid_stand_in.cancelled == [druid_stand_in.queries[0].id]


async def test_a_caller_can_shorten_its_deadline(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = stand_in.never
    headers = {"Authorization": f"Token {client.gateway.tokens[P]}", "Prefer": "respond-async, wait=1"}
    began = asyncio.get_running_loop().time()
    body = json.dumps(COUNT)
    assert_problem(await client.send("POST", client.gateway.path(P), headers=headers, data=body), 504, "timeout")
    assert 0.9 < asyncio.get_running_loop().time() - began < 3
    await druid_stand_in.wait_for(cancelled=1)
    assert druid_stand_in.queries[0].query["context"]["timeout"] <= 1000


async def test_unknown_preferences_are_ignored(client: Client) -> None:
    headers = {"Authorization": f"Token {client.gateway.tokens[P]}", "Prefer": "wait=soon, wait=-1, wait=, wait=²"}
    body = json.dumps(COUNT)
    assert (await client.send("POST", client.gateway.path(P), headers=headers, data=body)).status == 200


async def test_joining_while_the_last_caller_disconnects_works(client: Client, druid_stand_in: StandIn) -> None:
    async def a_moment_later(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        await asyncio.sleep(0.05)
        return await respond(row(count=7))(request)

    druid_stand_in.answer = a_moment_later
    for turn in range(40):
        body = COUNT | {"limit": turn + 1}
        already = len(druid_stand_in.queries)
        leaving = asyncio.create_task(client.post(body))
        await druid_stand_in.wait_for(queries=already + 1)
        leaving.cancel()
        # Before the gateway notices the disconnect, meanwhile, and afterwards.
        await asyncio.sleep(turn / 40 * 0.005)
        assert (await client.post(body)).data == [["2019-01-01T00:00:00.000+02:00", 7]]
    async with asyncio.timeout(10):
        # An abandoned query keeps its slot until it has been cancelled.
        while slots(client.gateway.app)[0].running:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
    assert len(druid_stand_in.cancelled_at) > 1, "none of them came too late to join"


async def test_in_druid_organizations_with_fewer_queries_have_priority(client: Client, druid_stand_in: StandIn) -> None:
    gate = Gate()
    druid_stand_in.answer = gate.answer
    asking = []
    for granularity, organization in (("all", P), ("hour", P), ("minute", P), ("all", T)):
        body = COUNT | {"granularity": granularity}
        asking.append(asyncio.create_task(client.post(body, organization=organization)))
        await druid_stand_in.wait_for(queries=len(asking))
    gate.open.set()
    await asyncio.gather(*asking)
    assert [asked.query["context"]["priority"] for asked in druid_stand_in.queries] == [0, -1, -2, 0]
