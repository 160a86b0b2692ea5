"""Which data exists according to the coordinator, and what is valid while it does not respond."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from gateway.druid.api.coordinator import Coordinator as Client
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.completeness.availability import Availability, DataNotKnown
from gateway.druid.intervals import TimeRange
from tests.unit.druid.described import DAY_TWO, segment
from tests.unit.druid.links import INSTRUMENTS


class Coordinator:
    """Answers with segments, or with an error where `segments` is None."""

    def __init__(self) -> None:
        self.segments: list[Any] | None = [segment()]
        self.in_store: list[Any] | None = [segment()]
        self.asked: list[list[str]] = []
        self.others: list[Any] = []
        self.refused = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self, request: web.Request) -> web.Response:
        await self.may_answer.wait()
        self.refused += self.segments is None
        found = self.segments if request.query["datasources"] == "x" else self.others
        return web.json_response(found, status=500 if self.segments is None else 200)

    async def stored(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        return web.json_response(self.in_store, status=500 if self.in_store is None else 200)


@pytest.fixture
async def coordinator() -> AsyncIterator[tuple[Coordinator, str]]:
    told = Coordinator()
    app = web.Application()
    app.router.add_get("/druid/coordinator/v1/metadata/segments", told.answer)
    app.router.add_post("/druid/coordinator/v1/metadata/datasources/x/segments", told.stored)
    async with TestServer(app) as server:
        yield told, str(server.make_url("/"))


@asynccontextmanager
async def knowing(
    url: str, *data_sources: str, period: float = 60, max_age: float = 300
) -> AsyncIterator[Availability]:
    age = INSTRUMENTS.coverage_age_seconds
    async with (
        Client([ServiceUrl(url)]) as client,
        Availability(client, data_sources, period=period, max_age=max_age, age=age) as known,
    ):
        yield known


async def test_a_data_source_without_segments_has_data_for_no_time(coordinator: tuple[Coordinator, str]) -> None:
    async with knowing(coordinator[1], "x", "empty") as known:
        assert await known.missing("empty", [TimeRange(0, 1)]) is None
        assert await known.missing("x", [TimeRange(-5, 1)]) == TimeRange(0, 1)
        assert known.unknown() == ()


async def test_time_without_data_is_never_missing(coordinator: tuple[Coordinator, str]) -> None:
    told, url = coordinator
    async with knowing(url, "x") as known:
        assert await known.missing("x", [TimeRange(86_400_000, 99_000_000)]) is None
    assert told.asked == []


@pytest.mark.parametrize("stored", [[], [segment(type="tombstone")]], ids=["nothing", "a tombstone"])
async def test_data_that_was_deleted_a_moment_ago_is_not_missing(
    coordinator: tuple[Coordinator, str], stored: list[Any]
) -> None:
    told, url = coordinator
    async with knowing(url, "x") as known:
        told.in_store = stored
        assert await known.missing("x", [TimeRange(0, 1)]) is None
    assert told.asked == [["1970-01-01T00:00:00.000Z/1970-01-01T00:00:00.001Z"]]


async def test_missing_data_that_cannot_be_confirmed_counts_as_missing(coordinator: tuple[Coordinator, str]) -> None:
    told, url = coordinator
    async with knowing(url, "x") as known:
        told.in_store = None
        assert await known.missing("x", [TimeRange(0, 1)]) == TimeRange(0, 1)


async def test_new_segments_are_known_after_a_period(coordinator: tuple[Coordinator, str]) -> None:
    told, url = coordinator
    async with knowing(url, "x", period=0.02) as known:
        told.segments = told.in_store = [segment(DAY_TWO)]
        async with asyncio.timeout(5):
            while await known.missing("x", [TimeRange(86_400_000, 86_400_001)]) is None:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.01)


async def test_what_is_known_remains_valid_during_an_outage(
    coordinator: tuple[Coordinator, str],
) -> None:
    told, url = coordinator
    async with knowing(url, "x", period=0.02) as known:
        told.segments = None
        await asyncio.sleep(0.2)
        assert await known.missing("x", [TimeRange(0, 1)]) == TimeRange(0, 1)
        assert known.age >= 0.1


async def test_nothing_is_known_before_the_coordinator_responded_once(coordinator: tuple[Coordinator, str]) -> None:
    told, url = coordinator
    told.segments = None
    async with knowing(url, "x") as known:
        with pytest.raises(DataNotKnown):
            await known.missing("x", [])
        assert known.unknown() == ("x",)
        assert known.age == float("inf")


async def test_a_silent_coordinator_delays_the_start_only_for_a_while(
    coordinator: tuple[Coordinator, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, url = coordinator
    told.may_answer.clear()
    monkeypatch.setattr("gateway.druid.periodic.FIRST_SECONDS", 0.1)
    async with asyncio.timeout(5), knowing(url, "x") as known:
        assert known.unknown() == ("x",)
        with pytest.raises(DataNotKnown):
            known.existing("x")
        # The first request goes on.
        told.may_answer.set()
        await until(lambda: not known.unknown())
        assert await known.missing("x", [TimeRange(0, 1)]) == TimeRange(0, 1)


async def test_a_start_that_is_cancelled_leaves_no_request_behind(coordinator: tuple[Coordinator, str]) -> None:
    told, url = coordinator
    told.may_answer.clear()
    with capture_logs() as lines:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), knowing(url, "x"):
                pytest.fail("the coordinator did not respond")
        assert not any("Periodic" in repr(task) for task in asyncio.all_tasks())
    assert lines == []
    told.may_answer.set()


async def test_an_outage_of_the_coordinator_is_logged_when_it_begins_and_when_it_ends(
    coordinator: tuple[Coordinator, str],
) -> None:
    told, url = coordinator
    with capture_logs() as lines:
        async with knowing(url, "x", period=0.01) as known:
            told.segments = None
            await until(lambda: told.refused >= 10)
            told.segments = [segment()]
            await until(lambda: len(lines) >= 2)
            assert known.age < 5
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("coverage_not_refreshed", "warning"),
        ("coverage_refreshed_again", "info"),
    ]
    assert lines[0]["age"] >= 0
    # Nine more attempts, each at least a period after the one before.
    assert lines[1]["away"] >= 0.1


async def test_a_long_outage_is_logged_again_with_the_age_of_what_is_known(
    coordinator: tuple[Coordinator, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, url = coordinator
    monkeypatch.setattr("gateway.druid.completeness.outage.REMIND_EVERY", 0.2)
    with capture_logs() as lines:
        async with knowing(url, "x", period=0.01):
            told.segments = None
            await until(lambda: len(lines) >= 3)
    assert told.refused > len(lines)
    assert [line["log_level"] for line in lines] == ["warning", "error", "error"]
    assert {line["event"] for line in lines} == {"coverage_not_refreshed"}
    ages = [line["age"] for line in lines]
    assert ages == sorted(ages)
    assert ages[2] - ages[0] >= 0.3


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)


FAR = {
    "in the year 9999": "9999-12-01T00:00:00.000Z/10000-01-01T00:00:00.000Z",
    "in the year 12019": "12019-01-01T00:00:00.000Z/12019-02-01T00:00:00.000Z",
    "of all time": "-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z",
}


@pytest.mark.parametrize("interval", FAR.values(), ids=FAR)
async def test_a_segment_of_any_time_is_known_beside_the_others(
    coordinator: tuple[Coordinator, str], interval: str
) -> None:
    told, url = coordinator
    told.segments = told.in_store = [segment(), segment(interval), segment(DAY_TWO)]
    far = TimeRange.parse(interval)
    async with knowing(url, "x") as known:
        assert await known.missing("x", [TimeRange(86_400_000, 86_400_001)]) == TimeRange(86_400_000, 86_400_001)
        assert await known.missing("x", [TimeRange(far.end - 1, far.end)]) == TimeRange(far.end - 1, far.end)


async def test_a_segment_that_cannot_be_read_does_not_affect_the_others(coordinator: tuple[Coordinator, str]) -> None:
    told, url = coordinator
    told.segments = [segment("yesterday/today"), {}, 5, segment()]
    with capture_logs() as lines:
        async with knowing(url, "x") as known:
            assert await known.missing("x", [TimeRange(0, 1)]) == TimeRange(0, 1)
    assert [(line["event"], line["segments"]) for line in lines] == [("segments_not_readable", 3)]


async def test_a_data_source_that_cannot_be_read_does_not_affect_the_others(
    coordinator: tuple[Coordinator, str],
) -> None:
    told, url = coordinator
    told.others = [segment("yesterday/today")]
    async with knowing(url, "x", "broken") as known:
        assert known.unknown() == ("broken",)
        assert await known.missing("x", [TimeRange(0, 1)]) == TimeRange(0, 1)
        with pytest.raises(DataNotKnown):
            await known.missing("broken", [TimeRange(0, 1)])


async def test_what_is_older_than_the_maximum_age_is_not_known(coordinator: tuple[Coordinator, str]) -> None:
    told, url = coordinator
    async with knowing(url, "x", period=0.01, max_age=1) as known:
        known.existing("x")
        told.segments = None
        async with asyncio.timeout(5):
            while not known.unknown():  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.01)
        assert known.unknown() == ("x",)
        with pytest.raises(DataNotKnown):
            known.existing("x")
        told.segments = [segment()]
        async with asyncio.timeout(5):
            while known.unknown():  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.01)


async def test_no_credential_is_logged_if_the_coordinator_rejects_them(coordinator: tuple[Coordinator, str]) -> None:
    told, url = coordinator
    told.segments = told.in_store = None
    with capture_logs() as lines:
        async with knowing(url.replace("http://", "http://admin:marker@"), "x"):
            pass
    assert [line["event"] for line in lines] == ["coverage_not_refreshed"]
    assert "status 500" in lines[0]["error"]
    assert "marker" not in str(lines)
    assert "Basic" not in str(lines)
