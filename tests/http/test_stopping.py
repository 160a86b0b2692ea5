"""SIGTERM: no new requests, some time for those in progress, then they are cancelled in Druid; exit code 0."""

import asyncio
import json
import signal

import aiohttp
import pytest
from aiohttp import web

from tests.http.asking import COUNT
from tests.http.conftest import StartProcess
from tests.http.stand_in import StandIn, never, respond, row, silent

SLOW = COUNT | {"interval": {"start": "2019-02-01", "end": "2019-02-02"}, "totals": True, "granularity": "hour"}


@pytest.mark.parametrize("word", [signal.SIGTERM, signal.SIGINT])
async def test_requests_in_progress_finish_or_are_cancelled(
    start_process: StartProcess, druid_stand_in: StandIn, word: signal.Signals
) -> None:
    held = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "2019-02" in (await request.json())["intervals"]:
            return await never(request)
        await held.wait()
        return await respond(row(count=7))(request)

    druid_stand_in.answer = answer
    async with start_process(druid_stand_in.url, shutdown_timeout=8) as process:
        quick = asyncio.create_task(process.client.post())
        slow = asyncio.create_task(process.client.post(SLOW))
        await druid_stand_in.wait_for(queries=3)
        process.process.send_signal(word)
        await refused(process.client.gateway.url)
        held.set()
        assert (await quick).data[0][-1] == 7
        assert druid_stand_in.cancelled == []
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await slow
        assert await asyncio.wait_for(process.process.wait(), 20) == 0
        abandoned = {each.id for each in druid_stand_in.queries if "2019-02" in json.dumps(each.query)}
        assert len(abandoned) == 2
        assert sorted(druid_stand_in.cancelled) == sorted(abandoned)
        events = [line["event"] for line in process.lines()]
    assert [event for event in events if event in {"finishing", "not_finished"}] == ["finishing", "not_finished"]
    assert "request_failed" not in events


async def refused(url: str) -> None:
    """Return once no new connection is accepted, which a probe of /readyz notices at once."""
    async with asyncio.timeout(5), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/readyz", headers={"Connection": "close"}):
                    pass
            except aiohttp.ClientConnectorError:
                return


async def test_an_idle_process_ends_at_once(start_process: StartProcess, druid_stand_in: StandIn) -> None:
    async with start_process(druid_stand_in.url, shutdown_timeout=60) as process:
        assert (await process.client.post()).status == 200
        process.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.process.wait(), 10) == 0


async def test_a_frozen_broker_does_not_delay_the_end(start_process: StartProcess, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer, druid_stand_in.frozen = never, True
    async with start_process(druid_stand_in.url, shutdown_timeout=1) as process:
        slow = asyncio.create_task(process.client.post())
        await druid_stand_in.wait_for(queries=1)
        process.process.send_signal(signal.SIGTERM)
        # Of the supervisor's ten seconds beyond the time for requests, it must not need more than a few.
        assert await asyncio.wait_for(process.process.wait(), 7) == 0
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await slow
        [query] = druid_stand_in.queries
        assert set(druid_stand_in.cancelled) == {query.id}
        [line] = [line for line in process.lines() if line["event"] == "druid_query_not_cancelled"]
        assert line["druid_query_id"] == query.id


@pytest.mark.parametrize(
    ("setting", "url"),
    [("druid_coordinator_url", "http://127.0.0.1:{}"), ("database_url", "postgresql://user@127.0.0.1:{}/accounts")],
)
async def test_a_start_that_waits_for_another_service_ends_at_once(
    start_process: StartProcess, druid_stand_in: StandIn, setting: str, url: str
) -> None:
    with silent() as service:
        changes = {setting: url.format(service.getsockname()[1])}
        async with start_process(druid_stand_in.url, ready=False, **changes) as process:
            connected = asyncio.get_running_loop().sock_accept(service)
            with (await asyncio.wait_for(connected, 30))[0]:
                process.process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(process.process.wait(), 5) == 0
            assert [line["event"] for line in process.lines() if line["level"] != "warning"] == []
