"""Realtime rows that were seen once are in every later response, or it is an error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests import druid_schema
from tests.http.asking import COUNT, Client, assert_problem
from tests.http.conftest import Start
from tests.http.stand_in import row

INTERVAL = "2019-01-01T00:00:00.000Z/2019-02-01T00:00:00.000Z"
SEGMENT = {"interval": INTERVAL, "version": "1", "partitionNumber": 0}
ID = f"chat_sessions_{INTERVAL.replace('/', '_')}_1"
ELSEWHERE = COUNT | {"interval": {"start": "2019-02-02", "end": "2019-02-03"}}


@dataclass(slots=True)
class Broker:
    """Serves one segment: `server` is the kind of its server, `rows` the number of rows (None: the request fails)."""

    server: str | None = "indexer-executor"
    rows: int | None = 7
    looks: int = 0
    dropped: bool = False
    lists: bool = True

    async def query(self, request: web.Request) -> web.Response:
        query = await request.json()
        if druid_schema.is_about_columns(query):
            return web.json_response(druid_schema.answer(query))
        if query["queryType"] != "segmentMetadata":
            context = '{"uncoveredIntervals": [], "uncoveredIntervalsOverflowed": false}'
            return web.json_response(row(count=self.rows), headers={"X-Druid-Response-Context": context})
        self.looks += 1
        if self.rows is None:
            return web.json_response({}, status=500)
        asked = query["intervals"]["segments"] if self.server else []
        return web.json_response([{"id": ID, "numRows": self.rows} for _ in asked])

    async def candidates(self, _: web.Request) -> web.Response:
        self.looks += 1
        found: list[Any] = [SEGMENT | {"locations": [{"type": self.server}]}] if self.server else []
        return web.json_response(found, status=200 if self.lists else 500)

    async def metadata(self, _: web.Request) -> web.Response:
        return web.json_response([])

    async def data_sources(self, _: web.Request) -> web.Response:
        return web.json_response(["chat_sessions"])

    async def unused(self, request: web.Request) -> web.Response:
        assert request.query["interval"].replace("_", "/") == SEGMENT["interval"]
        stored = {
            "dataSegment": SEGMENT | {"shardSpec": {"type": "numbered", "partitionNum": SEGMENT["partitionNumber"]}}
        }
        return web.json_response([stored] if self.dropped else [])

    async def looked(self) -> None:
        """Wait for one complete check."""
        async with asyncio.timeout(10):
            for until in range(self.looks + 1, self.looks + 5):
                while self.looks < until:  # noqa: ASYNC110 - only the gateway knows
                    await asyncio.sleep(0.01)


@pytest.fixture
async def broker() -> Broker:
    return Broker()


@asynccontextmanager
async def gateway_before(broker: Broker, start: Start, **settings: Any) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_post("/druid/v2", broker.query)
    app.router.add_get("/druid/v2/datasources/chat_sessions/candidates", broker.candidates)
    app.router.add_get("/druid/coordinator/v1/metadata/segments", broker.metadata)
    app.router.add_get("/druid/coordinator/v1/metadata/datasources", broker.data_sources)
    of_data_source = "/druid/coordinator/v1/metadata/datasources/chat_sessions"
    app.router.add_post(f"{of_data_source}/segments", broker.metadata)
    app.router.add_get(f"{of_data_source}/unusedSegments", broker.unused)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        client = await start(url, druid_coordinator_url=url, coverage_period=1, **settings)
        await broker.looked()
        yield client


async def test_all_rows_present_is_200(broker: Broker, start: Start) -> None:
    async with gateway_before(broker, start) as client:
        for rows in (7, 8, 8):
            broker.rows = rows
            assert (await client.post()).data == [["2019-01-01T00:00:00.000+02:00", rows]]


async def test_fewer_rows_than_before_are_503_only_for_their_time(broker: Broker, start: Start) -> None:
    async with gateway_before(broker, start) as client:
        broker.rows = 6
        assert_problem(await client.post(), 503, "data_unavailable")
        assert (await client.post(ELSEWHERE)).status == 200


async def test_a_missing_segment_is_503_until_it_is_complete_again(broker: Broker, start: Start) -> None:
    async with gateway_before(broker, start) as client:
        broker.server = None
        assert_problem(await client.post(), 503, "data_unavailable")
        broker.server, broker.rows = "indexer-executor", 3
        await broker.looked()
        assert_problem(await client.post(), 503, "data_unavailable")
        broker.rows = 7
        async with asyncio.timeout(10):
            while (await client.post()).status != 200:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.05)


async def test_a_segment_on_a_historical_may_have_fewer_rows(broker: Broker, start: Start) -> None:
    async with gateway_before(broker, start) as client:
        broker.server, broker.rows = "historical", 6
        assert (await client.post()).status == 200


async def test_a_published_segment_that_retention_drops_is_not_missing(broker: Broker, start: Start) -> None:
    async with gateway_before(broker, start) as client:
        broker.server = None
        assert_problem(await client.post(), 503, "data_unavailable")
        broker.dropped = True
        async with asyncio.timeout(10):
            while (await client.post()).status != 200:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.05)


async def test_503_if_realtime_rows_cannot_be_checked(broker: Broker, start: Start) -> None:
    async with gateway_before(broker, start) as client:
        broker.rows = None
        answer = await client.post()
    assert_problem(answer, 503, "data_unavailable")
    assert answer.headers["retry-after"]


async def test_one_check_serves_all_waiting_requests(broker: Broker, start: Start) -> None:
    async with gateway_before(broker, start) as client:
        before = broker.looks
        days = [COUNT | {"interval": {"start": "2019-01-01", "end": f"2019-01-{day:02}"}} for day in range(2, 22)]
        answers = await asyncio.gather(*(client.post(body) for body in days))
        assert {answer.status for answer in answers} == {200}
        # One that was running, one after it, and a few for later responses; not one per request.
        assert broker.looks - before < len(days)


async def test_503_once_it_is_not_known_which_rows_only_tasks_have(broker: Broker, start: Start) -> None:
    async with gateway_before(broker, start, completeness_max_age=2) as client:
        assert (await client.post(ELSEWHERE)).status == 200
        broker.lists = False
        async with asyncio.timeout(10):
            while (await client.post(ELSEWHERE)).status == 200:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.05)
        assert_problem(await client.post(ELSEWHERE), 503, "data_unavailable")
        assert (await client.send("GET", "/readyz")).json["unknown_data_sources"] == ["chat_sessions"]
