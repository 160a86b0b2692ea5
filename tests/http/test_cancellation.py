"""Druid does not notice that a caller has disconnected: the gateway cancels the query."""

import asyncio
import json
from contextlib import suppress

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.druid.api import cancellation
from tests.http import stand_in
from tests.http.asking import COUNT, Client, assert_problem
from tests.http.conftest import Start
from tests.http.stand_in import StandIn, respond, row
from tests.links import slots
from tests.serving import D

# By day: otherwise the query for the totals would be identical and coalesced.
TOTALS = COUNT | {"totals": True, "granularity": "day"}


async def test_a_disconnect_cancels_the_query_at_once(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = stand_in.never
    host, port = client.gateway.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(COUNT).encode()
    head = (
        f"POST {client.gateway.path()} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Token {client.gateway.tokens[D]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with capture_logs() as lines:
        writer.write(head.encode() + body)
        await druid_stand_in.wait_for(queries=1)
        left = asyncio.get_running_loop().time()
        writer.close()
        await writer.wait_closed()
        await druid_stand_in.wait_for(cancelled=1)
    assert druid_stand_in.cancelled == [druid_stand_in.queries[0].id]
    # It takes some milliseconds, but machines that run tests are busy.
    assert asyncio.get_running_loop().time() - left < 1
    assert "request_abandoned" in [line["event"] for line in lines]


async def test_a_disconnect_cancels_the_query_for_the_totals(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = stand_in.never
    asking = asyncio.create_task(client.post(TOTALS))
    await druid_stand_in.wait_for(queries=2)
    asking.cancel()
    await druid_stand_in.wait_for(cancelled=2)
    assert sorted(druid_stand_in.cancelled) == sorted(asked.id for asked in druid_stand_in.queries)


async def test_a_cancellation_that_overtakes_its_query_is_repeated(client: Client, druid_stand_in: StandIn) -> None:
    async def begin_late(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        with suppress(asyncio.CancelledError):
            await stand_in.never(request)
        return await stand_in.never(request)

    druid_stand_in.answer = begin_late
    asking = asyncio.create_task(client.post())
    await druid_stand_in.wait_for(queries=1)
    asking.cancel()
    await druid_stand_in.wait_for(cancelled=2)
    # Twice the time until the next cancellation, if one were needed.
    await asyncio.sleep(0.2)
    assert druid_stand_in.cancelled == [druid_stand_in.queries[0].id] * 2


async def test_the_deadline_is_504_and_cancels(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = stand_in.never
    client = await start(druid_stand_in.url, request_timeout=0.3)
    assert_problem(await client.post(), 504, "timeout")
    await druid_stand_in.wait_for(cancelled=1)
    assert druid_stand_in.cancelled == [druid_stand_in.queries[0].id]


async def test_the_query_contains_the_remaining_time(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, request_timeout=20)

    async def half_a_second_late() -> object:
        yield json.dumps(COUNT).encode()[:10]
        await asyncio.sleep(0.5)
        yield json.dumps(COUNT).encode()[10:]

    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    await client.post()
    await client.send("POST", client.gateway.path(), headers=headers, data=half_a_second_late())
    at_once, late = (asked.query["context"]["timeout"] for asked in druid_stand_in.queries)
    assert 15_000 < at_once <= 20_000
    assert 15_000 < late <= 19_500


async def test_the_query_id_begins_with_the_request_id(client: Client, druid_stand_in: StandIn) -> None:
    answer = await client.post(TOTALS)
    assert {asked.id for asked in druid_stand_in.queries} == {
        f"{answer.headers['x-request-id']}-report",
        f"{answer.headers['x-request-id']}-totals",
    }


async def test_the_callers_own_request_id_is_not_used_in_the_query_id(client: Client, druid_stand_in: StandIn) -> None:
    # Druid cancels by id: a caller that could choose the id could cancel another caller's query.
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}", "X-Request-Id": "mine"}
    answer = await client.send("POST", client.gateway.path(), headers=headers, data=json.dumps(COUNT))
    assert answer.headers["x-request-id"] != "mine"
    assert not druid_stand_in.queries[0].id.startswith("mine")


@pytest.mark.parametrize("failing", ["report", "totals"])
async def test_when_one_of_two_queries_fails_the_other_is_cancelled(
    client: Client, druid_stand_in: StandIn, failing: str
) -> None:
    async def one_fails(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        query = await request.json()
        if not query["context"]["queryId"].endswith(failing):
            return await stand_in.never(request)
        await druid_stand_in.wait_for(queries=2)
        return await stand_in.error(500)(request)

    druid_stand_in.answer = one_fails
    assert_problem(await client.post(TOTALS), 502, "bad_upstream_answer")
    await druid_stand_in.wait_for(cancelled=1)
    [other] = [asked.id for asked in druid_stand_in.queries if not asked.id.endswith(failing)]
    assert druid_stand_in.cancelled == [other]


async def test_repeated_disconnects_leave_no_more_queries_in_druid_than_there_are_slots(
    start: Start, druid_stand_in: StandIn
) -> None:
    most = 0

    async def never(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        nonlocal most
        most = max(most, len(druid_stand_in.running))
        return await stand_in.never(request)

    druid_stand_in.answer = never
    client = await start(druid_stand_in.url, druid_queries=4)
    for number in range(1, 41):
        asking = asyncio.create_task(client.post(COUNT | {"limit": number}))
        await asyncio.sleep(0.01)
        asking.cancel()
    await asyncio.wait([asking])
    # An organization alone may use half of them.
    assert 0 < most <= 2


async def test_a_complete_response_cancels_nothing(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = respond(row(count=7))
    assert (await client.post(COUNT | {"totals": True})).json["totals"] == ["2019-01-01T00:00:00.000+02:00", 7]
    assert len(druid_stand_in.queries) == 1, "the totals of one bucket are the bucket: the same query, asked once"
    await asyncio.sleep(0.05)
    assert druid_stand_in.cancelled == []


async def test_a_disconnect_does_not_affect_other_callers(client: Client, druid_stand_in: StandIn) -> None:
    held = asyncio.Event()

    async def hold(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        await held.wait()
        return await respond(row(count=7))(request)

    druid_stand_in.answer = hold
    leaving, staying = asyncio.create_task(client.post()), asyncio.create_task(client.post(BY_NOTHING))
    await druid_stand_in.wait_for(queries=2)
    leaving.cancel()
    await druid_stand_in.wait_for(cancelled=1)
    held.set()
    assert (await staying).status == 200


BY_NOTHING = COUNT | {"interval": {"start": "2019-02-01", "end": "2019-02-02"}}


async def test_a_query_that_druid_does_not_end_is_abandoned(
    client: Client, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellation, "_CANCEL_AGAIN", (0.01, 0.01))

    async def stubborn(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return await respond(row(count=7))(request)

    druid_stand_in.answer = stubborn
    asking = asyncio.create_task(client.post())
    await druid_stand_in.wait_for(queries=1)
    asking.cancel()
    await druid_stand_in.wait_for(cancelled=1)
    async with asyncio.timeout(5):
        while slots(client.gateway.app)[0].running:  # noqa: ASYNC110 - only looking tells
            await asyncio.sleep(0.01)
    assert len(druid_stand_in.cancelled) == 2
