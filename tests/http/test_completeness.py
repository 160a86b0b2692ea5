"""Data that there is and that nobody serves: an error, never a number over the rest."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import AnyHttpUrl
from structlog.testing import capture_logs

from tests.http.asking import assert_problem
from tests.http.conftest import Start
from tests.http.stand_in import Handler, StandIn, row

SEGMENT = {
    "interval": "2019-01-01T00:00:00.000Z/2019-02-01T00:00:00.000Z",
    "overshadowed": False,
    "replicationFactor": 1,
    "shardSpec": {"type": "range"},
}
NEVER_HAD_DATA = ["2018-01-01T00:00:00.000Z/2019-01-01T00:00:00.000Z"]
HAS_DATA = ["2019-01-01T00:00:00.000Z/2019-01-01T05:00:00.000Z"]


@asynccontextmanager
async def coordinator(segments: list[Any] | None) -> AsyncIterator[AnyHttpUrl]:
    """A coordinator that knows these segments, or fails."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(segments, status=500 if segments is None else 200)

    app = web.Application()
    app.router.add_get("/druid/coordinator/v1/metadata/segments", answer)
    app.router.add_post("/druid/coordinator/v1/metadata/datasources/chat_sessions/segments", answer)
    async with TestServer(app) as server:
        yield AnyHttpUrl(str(server.make_url("/")))


def uncovered(intervals: list[str], *, overflowed: bool = False) -> Handler:
    context = {"uncoveredIntervals": intervals, "uncoveredIntervalsOverflowed": overflowed}

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(row(count=7), headers={"X-Druid-Response-Context": json.dumps(context)})

    return handler


async def test_time_that_never_had_data_is_an_ordinary_zero(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered(NEVER_HAD_DATA)
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert (await client.post()).data == [["2019-01-01T00:00:00.000+02:00", 7]]
    assert druid_stand_in.queries[0].query["context"]["uncoveredIntervalsLimit"] > 0


async def test_data_that_nobody_serves_is_503(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered(NEVER_HAD_DATA + HAS_DATA)
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        answer = await client.post()
    assert_problem(answer, 503, "data_unavailable")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("context", [None, {}, {"uncoveredIntervals": "?"}])
async def test_a_broker_that_says_nothing_of_holes_is_asked_what_it_serves(
    start: Start, druid_stand_in: StandIn, context: Any
) -> None:
    async def handler(_: web.Request) -> web.Response:
        headers = {} if context is None else {"X-Druid-Response-Context": json.dumps(context)}
        return web.json_response(row(count=7), headers=headers)

    druid_stand_in.answer = handler
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        # The stand-in serves nothing under that path: it cannot be told that all is there.
        assert_problem(await client.post(), 502, "bad_upstream_answer")


async def test_nothing_is_answered_before_it_is_known_what_data_there_is(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered([])
    async with coordinator(None) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert_problem(await client.post(), 503, "data_unavailable")
        assert (await client.send("GET", "/readyz")).status == 503


async def test_without_a_coordinator_druids_answer_counts(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered(HAS_DATA)
    client = await start(druid_stand_in.url)
    assert (await client.post()).status == 200
    assert "uncoveredIntervalsLimit" not in druid_stand_in.queries[0].query["context"]


async def test_the_log_says_how_old_the_knowledge_was_that_a_report_was_refused_by(
    start: Start, druid_stand_in: StandIn
) -> None:
    druid_stand_in.answer = uncovered(HAS_DATA)
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        with capture_logs() as lines:
            await client.post()
    [line] = [line for line in lines if line["event"] == "data_unavailable"]
    assert 0 <= line["coverage_age"] < 60
