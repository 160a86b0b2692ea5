"""The monitor of rows that only tasks have continues whatever happens, and says so. Broker and coordinator stand in."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.druid.api.broker import Broker
from gateway.druid.api.coordinator import Coordinator
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.broker_pool import Brokers
from gateway.druid.completeness.availability import Availability, DataNotKnown
from gateway.druid.completeness.realtime_monitor import RealtimeMonitor
from gateway.druid.intervals import TimeRange
from gateway.druid.segments import ServedSegment
from tests.serving import listening
from tests.unit.druid.described import DAY_ONE, DAY_TWO
from tests.unit.druid.links import INSTRUMENTS

DAY = TimeRange.parse(DAY_ONE)
IN_A_TASK = {
    "interval": DAY_ONE,
    "version": "1",
    "partitionNumber": 0,
    "locations": [{"type": "indexer-executor"}],
}


@dataclass(slots=True)
class Druid:
    """A broker with this list of segments, each of which has as many rows; the list of all time takes a while."""

    candidates: Any = field(default_factory=lambda: [IN_A_TASK])
    rows: int = 7
    seconds: float = 0.0
    searches: int = 0
    counts: int = 0

    async def list_candidates(self, request: web.Request) -> web.Response:
        if request.query["intervals"].startswith("0001-"):
            self.searches += 1
            await asyncio.sleep(self.seconds)
        return web.json_response(self.candidates, status=500 if self.candidates is None else 200)

    async def query(self, request: web.Request) -> web.Response:
        self.counts += 1
        query = await request.json()
        ids = [f"x_{each['itvl'].replace('/', '_')}_{each['ver']}" for each in query["intervals"]["segments"]]
        return web.json_response([{"id": each, "numRows": self.rows} for each in ids])

    async def no_segments(self, _: web.Request) -> web.Response:
        return web.json_response([])


class FaultyBroker(Broker):
    """Has a fault of the gateway's own code while `is_faulty`."""

    is_faulty = True

    async def candidates(self, data_source: str, time_range: TimeRange, deadline: float) -> list[ServedSegment]:
        if self.is_faulty:
            raise ZeroDivisionError
        return await super().candidates(data_source, time_range, deadline)


@asynccontextmanager
async def monitoring(
    druid: Druid,
    new_broker: Callable[[ServiceUrl], Broker] = Broker,
    *others: str,
    period: float = 60,
    max_age: float = 300,
) -> AsyncIterator[tuple[RealtimeMonitor, Broker]]:
    app = web.Application()
    app.router.add_get("/druid/v2/datasources/x/candidates", druid.list_candidates)
    app.router.add_post("/druid/v2", druid.query)
    app.router.add_get("/druid/coordinator/v1/metadata/segments", druid.no_segments)
    app.router.add_get("/druid/coordinator/v1/metadata/datasources/x/unusedSegments", druid.no_segments)
    i = INSTRUMENTS
    async with listening(app) as url:
        broker = new_broker(ServiceUrl(url))
        async with (
            Brokers([*(Broker(ServiceUrl(each)) for each in others), broker], i.broker_up) as brokers,
            Coordinator([ServiceUrl(url)]) as coordinator,
            Availability(coordinator, ["x"], period=60, max_age=300, age=i.coverage_age_seconds) as availability,
            RealtimeMonitor(
                brokers, availability, period=period, max_age=max_age, age=i.realtime_age_seconds
            ) as monitor,
        ):
            yield monitor, broker


async def is_missing(monitor: RealtimeMonitor, broker: Broker) -> bool:
    return await monitor.missing("x", DAY, asyncio.get_running_loop().time(), broker) is not None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


async def test_the_start_waits_for_a_broker_that_lists_all_segments_slowly() -> None:
    druid = Druid(seconds=2.5)
    async with monitoring(druid) as (monitor, broker):
        assert monitor.unpublished("x") == (DAY,)
        druid.rows = 6
        assert await is_missing(monitor, broker)


async def test_known_rows_are_counted_while_the_list_of_all_segments_takes_long() -> None:
    druid = Druid()
    async with monitoring(druid, period=0.01):
        druid.seconds = 5
        searches, counts = druid.searches, druid.counts
        await until(lambda: druid.searches > searches)
        await until(lambda: druid.counts >= counts + 2)
        assert druid.searches == searches + 1


@pytest.mark.parametrize("change", [{"version": None}, {"version": 1}, {"partitionNumber": "0"}, {"locations": 5}])
async def test_a_segment_that_cannot_be_read_does_not_affect_the_others(change: dict[str, Any]) -> None:
    druid = Druid([IN_A_TASK | {"interval": DAY_TWO} | change, IN_A_TASK])
    with capture_logs() as lines:
        async with monitoring(druid) as (monitor, broker):
            assert monitor.unpublished("x") == (DAY,)
            druid.rows = 6
            assert await is_missing(monitor, broker)
    assert {(line["event"], line["segments"]) for line in lines if "segments" in line} == {
        ("candidates_not_readable", 1)
    }


async def test_a_fault_of_the_gateway_itself_does_not_end_the_monitoring() -> None:
    druid = Druid()
    with capture_logs() as lines:
        async with monitoring(druid, FaultyBroker, period=0.01) as (monitor, broker):
            assert monitor.age == float("inf")
            broker.is_faulty = False  # type: ignore[attr-defined]
            await until(lambda: monitor.unpublished("x") == (DAY,))
            broker.is_faulty = True  # type: ignore[attr-defined]
            await until(lambda: any(line["event"] == "rows_not_counted" for line in lines))
            broker.is_faulty = False  # type: ignore[attr-defined]
            await until(lambda: any(line["event"] == "rows_counted_again" for line in lines))
            druid.rows = 6
            assert await is_missing(monitor, broker)
    failed = [line for line in lines if line["event"] in {"streams_not_searched", "rows_not_counted"}]
    assert {(line["error"], line["exc_info"]) for line in failed} == {("ZeroDivisionError", True)}


async def test_an_outage_is_a_warning_then_an_error_every_few_minutes_and_its_end_is_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.druid.completeness.outage.REMIND_EVERY", 0.2)
    druid = Druid(None)
    with capture_logs() as lines:
        async with monitoring(druid, period=0.01) as (monitor, _):
            await until(lambda: len(lines) >= 3)
            assert druid.searches > len(lines)
            druid.candidates = [IN_A_TASK]
            await until(lambda: len(lines) >= 4)
            assert monitor.age < 10
    assert [(line["event"], line["log_level"]) for line in lines[:4]] == [
        ("streams_not_searched", "warning"),
        ("streams_not_searched", "error"),
        ("streams_not_searched", "error"),
        ("streams_searched_again", "info"),
    ]
    assert "status 500" in lines[0]["error"]


async def test_another_broker_is_searched_if_one_does_not_respond() -> None:
    async with monitoring(Druid(), Broker, "http://127.0.0.1:1") as (monitor, _):
        assert monitor.unpublished("x") == (DAY,)


async def test_a_data_source_is_not_known_before_its_first_search() -> None:
    druid = Druid(None)
    async with monitoring(druid, period=0.01) as (monitor, _):
        assert monitor.unknown() == ("x",)
        with pytest.raises(DataNotKnown):
            monitor.require_known("x")
        druid.candidates = []
        await until(lambda: monitor.unknown() == ())
        monitor.require_known("x")


async def test_a_data_source_with_a_stream_is_not_known_once_the_last_search_is_too_old() -> None:
    druid = Druid()
    async with monitoring(druid, period=0.01, max_age=1) as (monitor, _):
        assert monitor.unknown() == ()
        druid.candidates = None
        await until(lambda: monitor.unknown() == ("x",))
        with pytest.raises(DataNotKnown):
            monitor.require_known("x")
        druid.candidates = [IN_A_TASK]
        await until(lambda: monitor.unknown() == ())


async def test_a_data_source_without_a_stream_needs_one_search_only() -> None:
    druid = Druid([IN_A_TASK | {"locations": [{"type": "historical"}]}])
    async with monitoring(druid, period=0.01, max_age=0.2) as (monitor, _):
        druid.candidates = None
        await until(lambda: monitor.age > 0.5)
        monitor.require_known("x")
        assert monitor.unknown() == ()
