"""The last link: sends guarded queries over a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.druid.api.broker import Broker, NoAnswer
from gateway.druid.api.send import Send
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.chain import DruidResponse, Known
from gateway.druid.intervals import TimeRange
from gateway.druid.memory_budget import GROWTH, MemoryBudget
from gateway.druid.query_context import AddContext
from gateway.druid.responses import TimeoutAboveLimit
from gateway.druid.stored import Stored
from gateway.druid.tenant_guard import TenantGuard
from gateway.errors import DataUnavailable, DeadlineExceeded, InternalError, MemoryExhausted, ReportTooLarge
from tests.http.stalls import measured_stalls
from tests.http.stand_in import StandIn, answering_bytes, error, never, respond, respond_with, row, standing_in
from tests.unit.druid.links import (
    INSTRUMENTS,
    budget,
    fill_with_small_entries,
    leased,
    new_slots,
    query,
    requested,
    routed,
)

DAY = TimeRange(0, 86_400_000)
SECRET = "what-a-caller-filters-by"


@pytest.fixture
async def druid() -> AsyncIterator[StandIn]:
    async with standing_in() as stand_in:
        yield stand_in


def guarded(*, max_response_bytes: int = 1 << 20) -> TenantGuard:
    """The guard in front of the link: nothing else can create what that accepts."""
    send = Send(
        max_response_bytes=max_response_bytes,
        query_seconds=INSTRUMENTS.druid_query_seconds,
        cancellation_seconds=INSTRUMENTS.druid_cancellation_seconds,
    )
    return TenantGuard(send)


async def run(druid_url: str, *, seconds: float = 5, max_response_bytes: int = 1 << 20, **native: Any) -> DruidResponse:
    async with Broker(ServiceUrl(druid_url)) as broker:
        request = routed(requested(query(**native), seconds=seconds), broker)
        request = request.with_context(queryId="id", timeout=5000)
        return await guarded(max_response_bytes=max_response_bytes).run(request)


async def test_the_rows_and_the_memory_that_they_take_come_back(druid: StandIn) -> None:
    response = await run(druid.url)
    assert response.rows == row(count=7)
    assert response.lease.size > 0
    assert response.uncovered is None
    assert druid.queries[0].id == "id"


@pytest.mark.parametrize(
    ("context", "uncovered"),
    [
        ({"uncoveredIntervals": ["1970-01-01/1970-01-02"], "uncoveredIntervalsOverflowed": False}, (DAY,)),
        ({"uncoveredIntervals": [], "uncoveredIntervalsOverflowed": False, "missingSegments": []}, ()),
        ({"uncoveredIntervals": [], "uncoveredIntervalsOverflowed": True}, None),
        ({"uncoveredIntervals": [], "uncoveredIntervalsOverflowed": False, "truncated": True}, None),
        ({"uncoveredIntervals": ["yesterday"], "uncoveredIntervalsOverflowed": False}, None),
        ([], None),
        ({}, None),
    ],
)
async def test_the_time_without_data_is_read_from_the_response_context(
    druid: StandIn, context: object, uncovered: tuple[TimeRange, ...] | None
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(row(count=7), headers={"X-Druid-Response-Context": json.dumps(context)})

    druid.answer = answer
    assert (await run(druid.url)).uncovered == uncovered


async def test_a_response_that_misses_segments_is_not_complete(druid: StandIn) -> None:
    async def answer(_: web.Request) -> web.Response:
        context = '{"missingSegments":[{"itvl":"1970-01-01/1970-01-02","ver":"1","part":0}]}'
        return web.json_response(row(count=7), headers={"X-Druid-Response-Context": context})

    druid.answer = answer
    with pytest.raises(DataUnavailable):
        await run(druid.url)


async def test_a_stale_connection_is_retried_once_on_the_same_broker(druid: StandIn) -> None:
    """As if the broker had closed an idle connection at the moment at which a query was sent through it."""
    attempts = 0

    async def drop_the_first(request: web.Request) -> web.StreamResponse:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            assert request.transport is not None
            request.transport.abort()
        return await respond(row(count=attempts))(request)

    druid.answer = drop_the_first
    assert (await run(druid.url)).rows == row(count=2)
    assert len(druid.queries) == 2


async def test_every_idle_connection_may_be_stale(druid: StandIn) -> None:
    async with Broker(ServiceUrl(druid.url)) as broker:
        transports: list[asyncio.BaseTransport] = []
        together = asyncio.Barrier(3)

        async def answer(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            transports.append(request.transport)
            if len(transports) <= 3:
                await together.wait()
            elif request.transport in transports[:3]:
                request.transport.abort()
            return await respond(row(count=7))(request)

        druid.answer = answer
        link = guarded()
        requests = [routed(requested(), broker).with_context(queryId=f"id-{each}", timeout=1) for each in range(4)]
        await asyncio.gather(*(link.run(each) for each in requests[:3]))
        assert (await link.run(requests[3])).rows == row(count=7)


async def test_a_broker_that_always_drops_connections_gives_no_answer() -> None:
    async with answering_bytes(b"", reset=True) as url:
        with pytest.raises(NoAnswer):
            await run(url)


async def test_a_response_above_the_limit_says_how_to_narrow_the_report(druid: StandIn) -> None:
    druid.answer = respond([["x" * 80, 1]] * 2000)
    with pytest.raises(ReportTooLarge, match="shorter interval"):
        await run(druid.url, max_response_bytes=65_536)


async def test_a_response_that_exceeds_the_memory_budget_frees_what_it_took(druid: StandIn) -> None:
    druid.answer = respond([["x" * 80, 1]] * 2000)
    memory = budget(100_000)
    async with Broker(ServiceUrl(druid.url)) as broker:
        has_broker = routed(requested(), broker)
        request = has_broker._replace(lease=leased(requested(), memory.lease("a")).lease).with_context(
            queryId="id", timeout=1
        )
        with request.lease, pytest.raises(MemoryExhausted):
            await guarded().run(request)
    assert memory.used == 0


async def test_a_large_confirmed_response_takes_the_place_of_many_small_ones_without_a_stall(druid: StandIn) -> None:
    druid.answer = respond_with(b"", status=304)
    stored: Stored[int, bytes] = Stored(1 << 26)
    memory = MemoryBudget(1 << 26, INSTRUMENTS.answers_bytes, stored)
    fill_with_small_entries(stored, memory)
    known = Known("v1", orjson.dumps([["x" * 1_000, number] for number in range(5_000)]), ())
    async with Broker(ServiceUrl(druid.url)) as broker:
        lease = memory.lease("b")
        request = routed(requested(), broker, known)._replace(lease=lease).with_context(queryId="id", timeout=5000)
        async with measured_stalls() as stalls:
            response = await guarded().run(request)
    assert len(response.rows) == 5_000
    assert lease.size == GROWTH * len(known.body)
    assert stalls.longest < 0.02


async def test_a_timeout_that_druid_rejects_is_told_apart_from_other_errors(druid: StandIn) -> None:
    message = "Configured timeout = 600000 is more than enforced limit of 120000."
    druid.answer = respond({"error": "Query context parse failed", "errorMessage": message}, status=400)
    with pytest.raises(TimeoutAboveLimit) as failure:
        await run(druid.url)
    assert failure.value.limit == 120_000


async def test_a_timeout_above_druids_limit_is_no_error_for_the_caller(druid: StandIn) -> None:
    async def limited(request: web.Request) -> web.StreamResponse:
        timeout = (await request.json())["context"]["timeout"]
        message = f"Configured timeout = {timeout} is more than enforced limit of 2000."
        rejected = respond({"error": "Query context parse failed", "errorMessage": message}, status=400)
        return await (rejected if timeout > 2000 else respond(row(count=7)))(request)

    druid.answer = limited
    async with Broker(ServiceUrl(druid.url)) as broker:
        response = await AddContext(guarded()).run(routed(requested(seconds=60), broker))
    assert response.rows == row(count=7)


async def test_the_log_has_druids_message_without_the_callers_values(druid: StandIn) -> None:
    message = f"Cannot compare [{SECRET}] with a long"
    druid.answer = respond({"error": "Unknown exception", "errorMessage": message}, status=400)
    native = query().native
    filters = [*native["filter"]["fields"], {"type": "selector", "dimension": "scope", "value": SECRET}]
    with capture_logs() as lines, pytest.raises(InternalError):
        await run(druid.url, filter={"type": "and", "fields": [*filters, filters[-1] | {"value": ""}]})
    [line] = [line for line in lines if line["event"] == "druid_rejected_query"]
    assert line["message"] == "Cannot compare […] with a long"


@pytest.mark.parametrize(
    ("message", "logged"),
    [
        (r'"my \"SECRET\" val\u00fc\\e" is wrong', r'"my \"…\" val\…\\e" is wrong'),
        (r'"my \"SECRET\" valü\\e" is wrong', r'"my \"…\" …\\e" is wrong'),
        ("Column [profit_per_head] clashes", "Column […] clashes"),
        ("x " * 998 + "is SECRET and more", "x " * 998 + "is …"),
    ],
    ids=["escaped", "escaped in part", "a name", "cut"],
)
async def test_the_log_has_none_of_the_callers_words_in_any_form(druid: StandIn, message: str, logged: str) -> None:
    druid.answer = respond({"error": "Unknown exception", "errorMessage": message}, status=400)
    native = query().native
    value = {"type": "selector", "dimension": "scope", "value": 'my "SECRET" valü\\e'}
    with capture_logs() as lines, pytest.raises(InternalError):
        await run(
            druid.url,
            filter={"type": "and", "fields": [*native["filter"]["fields"], value]},
            aggregations=[{"type": "count", "name": "profit_per_head"}],
        )
    [line] = [line for line in lines if line["event"] == "druid_rejected_query"]
    assert line["message"] == logged


async def test_an_abandoned_query_hands_its_cancellation_to_the_slot(druid: StandIn) -> None:
    druid.answer = never
    slots = new_slots(2, 2)

    async def one_query(broker: Broker) -> None:
        async with slots.acquire("a", requested().deadline) as slot:
            has_broker = routed(requested(), broker)
            request = has_broker._replace(slot=slot)
            await guarded().run(request.with_context(queryId="id", timeout=1))

    async with Broker(ServiceUrl(druid.url)) as broker:
        async with slots:
            task = asyncio.create_task(one_query(broker))
            await druid.wait_for(queries=1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert slots.running == 1
        assert (slots.running, slots.cancelling) == (0, 0)
    assert druid.cancelled == ["id"]


async def test_a_query_that_misses_its_deadline_is_cancelled(druid: StandIn) -> None:
    druid.answer = never
    async with Broker(ServiceUrl(druid.url)) as broker:
        request = routed(requested(seconds=0.1), broker).with_context(queryId="id", timeout=1)
        with pytest.raises(DeadlineExceeded):
            await guarded().run(request)
        await druid.wait_for(cancelled=1)


async def test_no_credential_of_the_broker_is_logged(druid: StandIn) -> None:
    with_password = druid.url.replace("http://", "http://admin:marker@")
    for answer in (error(500), respond_with(b"<html>"), respond_with(b"[")):
        druid.answer = answer
        with capture_logs() as lines, pytest.raises(Exception, match=r".*"):
            await run(with_password)
        assert "marker" not in str(lines)
        assert "Basic" not in str(lines)
