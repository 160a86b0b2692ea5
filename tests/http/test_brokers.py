"""Several brokers: a failing one is excluded until it recovers, and its queries are retried once on another one."""

import asyncio
import socket
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from gateway.druid import broker_pool as brokers
from gateway.druid import schema_reader
from gateway.druid.api import broker
from gateway.web.context import SERVICES
from tests.http import stand_in
from tests.http.asking import COUNT, assert_problem
from tests.http.conftest import Start
from tests.http.stand_in import StandIn, answering_bytes, standing_in


def unused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def nth(day: int) -> dict[str, object]:
    """Return one of many reports, all of them different."""
    return COUNT | {"interval": {"start": f"2019-01-{day + 1:02}", "end": f"2019-01-{day + 2:02}"}}


async def test_brokers_are_used_in_turn(start: Start, druid_stand_in: StandIn) -> None:
    async with standing_in() as other:
        client = await start(f"{druid_stand_in.url},{other.url}")
        for day in range(4):
            assert (await client.post(nth(day))).status == 200
        assert (len(druid_stand_in.queries), len(other.queries)) == (2, 2)


async def test_a_refused_connection_is_retried_on_another_broker_and_excludes_the_first(
    start: Start, druid_stand_in: StandIn
) -> None:
    client = await start(f"{unused()},{druid_stand_in.url}")
    for day in range(4):
        assert (await client.post(nth(day))).status == 200
    assert len(druid_stand_in.queries) == 4


async def test_a_connection_that_times_out_is_retried_on_another_broker(
    start: Start, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "CONNECT_SECONDS", 0.2)
    async with AsyncExitStack() as stack:
        # The backlog is full and no connection is accepted: further ones hang, as with a machine that is down.
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = full.getsockname()
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(address)
        client = await start(f"http://127.0.0.1:{address[1]},{druid_stand_in.url}")
        for day in range(4):
            assert (await client.post(nth(day))).status == 200
    assert len(druid_stand_in.queries) == 4


async def test_a_query_without_a_response_is_retried_on_another_broker(start: Start, druid_stand_in: StandIn) -> None:
    async with answering_bytes(b"", reset=True) as silent:
        client = await start(f"{silent},{druid_stand_in.url}")
        assert (await client.post()).status == 200
    assert len(druid_stand_in.queries) == 1


async def test_the_cancellation_on_one_broker_does_not_reach_the_retry_on_another_one(
    start: Start, druid_stand_in: StandIn
) -> None:
    """Both may lead to the same Druid."""

    async def vanish(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with standing_in() as broken:
        broken.answer = vanish
        client = await start(f"{broken.url},{druid_stand_in.url}")
        assert (await client.post()).status == 200
        await broken.wait_for(cancelled=1)
    (query,) = druid_stand_in.queries
    assert {each.id for each in broken.queries} == {*broken.cancelled}
    assert query.id == f"{broken.cancelled[0]}-2"


@pytest.mark.parametrize("status", [400, 429, 500, 503, 504])
async def test_an_error_response_is_not_retried(start: Start, druid_stand_in: StandIn, status: int) -> None:
    druid_stand_in.answer = stand_in.error(status)
    async with standing_in() as other:
        other.answer = stand_in.error(status)
        client = await start(f"{druid_stand_in.url},{other.url}")
        assert (await client.post()).status >= 400
        assert len(druid_stand_in.queries) + len(other.queries) == 1


async def test_503_at_once_if_all_brokers_are_down(start: Start) -> None:
    client = await start(f"{unused()},{unused()}")
    assert_problem(await client.post(), 503, "upstream_unavailable")
    began = asyncio.get_running_loop().time()
    answer = await client.post()
    assert_problem(answer, 503, "upstream_unavailable")
    assert answer.headers["retry-after"]
    # No broker is contacted. The limit is a tenth of a second, but machines that run tests are busy.
    assert asyncio.get_running_loop().time() - began < 0.5


async def test_a_broker_that_recovers_is_used_again(
    start: Start, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "PROBE_FIRST", 0.02)
    monkeypatch.setattr(brokers, "PROBE_EVERY", 0.02)
    whole = druid_stand_in.answer

    async def vanish(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return await whole(request)

    druid_stand_in.answer = vanish
    client = await start(druid_stand_in.url)
    assert_problem(await client.post(), 503, "upstream_unavailable")
    druid_stand_in.answer = whole
    async with asyncio.timeout(5):
        while (await client.post()).status != 200:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.02)


async def test_a_frozen_broker_is_excluded_after_a_query_reaches_its_deadline(
    start: Start, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "SHORT", aiohttp.ClientTimeout(total=0.1))
    monkeypatch.setattr(schema_reader, "REQUEST_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        # The kernel still accepts connections, as for a stopped process.
        url = f"http://127.0.0.1:{frozen.getsockname()[1]}"
        client = await start(f"{url},{druid_stand_in.url}", request_timeout=1)
        assert_problem(await client.post(nth(0)), 504, "timeout")
        both = client.gateway.app[SERVICES].druid.brokers
        async with asyncio.timeout(5):
            while len(both.answering) == 2:  # noqa: ASYNC110 - only looking tells
                await asyncio.sleep(0.02)
        for day in range(4):
            assert (await client.post(nth(day))).status == 200
    assert len(druid_stand_in.queries) == 4


async def test_a_broker_with_a_slow_query_is_not_excluded(
    start: Start, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "PROBE_FIRST", 0)
    druid_stand_in.answer = stand_in.never
    client = await start(druid_stand_in.url, request_timeout=0.3)
    for day in range(3):
        assert_problem(await client.post(nth(day)), 504, "timeout")
    assert len(druid_stand_in.queries) == 3
