"""What the coordinator is asked, and what serves while it cannot be."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs
from yarl import URL

from gateway.druid.completeness.availability import Coverage
from gateway.druid.stretches import Stretch
from tests.unit.druid.described import DAY_TWO, segment


class Coordinator:
    """Answers with segments, or with an error where `segments` is None."""

    def __init__(self) -> None:
        self.segments: list[Any] | None = [segment()]
        self.in_store: list[Any] | None = [segment()]
        self.asked: list[list[str]] = []
        self.refused = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.refused += self.segments is None
        found = self.segments if request.query["datasources"] == "x" else []
        return web.json_response(found, status=500 if self.segments is None else 200)

    async def stored(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        return web.json_response(self.in_store, status=500 if self.in_store is None else 200)


@pytest.fixture
async def coordinator() -> AsyncIterator[tuple[Coordinator, URL]]:
    told = Coordinator()
    app = web.Application()
    app.router.add_get("/druid/coordinator/v1/metadata/segments", told.answer)
    app.router.add_post("/druid/coordinator/v1/metadata/datasources/x/segments", told.stored)
    async with TestServer(app) as server:
        yield told, server.make_url("/")


async def test_a_data_source_without_segments_has_data_for_no_time(coordinator: tuple[Coordinator, URL]) -> None:
    async with Coverage(coordinator[1], ["x", "empty"], period=60) as coverage:
        assert await coverage.hole("empty", [Stretch(0, 1)]) is None
        assert await coverage.hole("x", [Stretch(-5, 1)]) == Stretch(0, 1)
        assert coverage.is_complete()


async def test_time_without_data_is_no_hole_and_nobody_is_asked(coordinator: tuple[Coordinator, URL]) -> None:
    told, url = coordinator
    async with Coverage(url, ["x"], period=60) as coverage:
        assert await coverage.hole("x", [Stretch(86_400_000, 99_000_000)]) is None
    assert told.asked == []


@pytest.mark.parametrize("stored", [[], [segment(type="tombstone")]], ids=["nothing", "a tombstone"])
async def test_data_that_was_just_replaced_by_nothing_is_no_hole(
    coordinator: tuple[Coordinator, URL], stored: list[Any]
) -> None:
    told, url = coordinator
    async with Coverage(url, ["x"], period=60) as coverage:
        told.in_store = stored
        assert await coverage.hole("x", [Stretch(0, 1)]) is None
    assert told.asked == [["1970-01-01T00:00:00.000Z/1970-01-01T00:00:00.001Z"]]


async def test_a_hole_that_cannot_be_confirmed_is_one(coordinator: tuple[Coordinator, URL]) -> None:
    told, url = coordinator
    async with Coverage(url, ["x"], period=60) as coverage:
        told.in_store = None
        assert await coverage.hole("x", [Stretch(0, 1)]) == Stretch(0, 1)


async def test_new_segments_are_known_after_a_period(coordinator: tuple[Coordinator, URL]) -> None:
    told, url = coordinator
    async with Coverage(url, ["x"], period=0.02) as coverage:
        told.segments = told.in_store = [segment(DAY_TWO)]
        async with asyncio.timeout(5):
            while await coverage.hole("x", [Stretch(86_400_000, 86_400_001)]) is None:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.01)


async def test_the_last_knowledge_serves_while_the_coordinator_is_away(coordinator: tuple[Coordinator, URL]) -> None:
    told, url = coordinator
    async with Coverage(url, ["x"], period=0.02) as coverage:
        told.segments = None
        await asyncio.sleep(0.2)
        assert await coverage.hole("x", [Stretch(0, 1)]) == Stretch(0, 1)
        assert coverage.age >= 0.1


async def test_nothing_is_known_before_the_coordinator_ever_answered(coordinator: tuple[Coordinator, URL]) -> None:
    told, url = coordinator
    told.segments = None
    async with Coverage(url, ["x"], period=60) as coverage:
        with pytest.raises(LookupError):
            await coverage.hole("x", [])
        assert not coverage.is_complete()
        assert coverage.age == float("inf")


async def test_an_outage_of_the_coordinator_is_said_when_it_begins_and_when_it_ends(
    coordinator: tuple[Coordinator, URL],
) -> None:
    told, url = coordinator
    with capture_logs() as lines:
        async with Coverage(url, ["x"], period=0.01) as coverage:
            told.segments = None
            await until(lambda: told.refused >= 10)
            told.segments = [segment()]
            await until(lambda: len(lines) >= 2)
            assert coverage.age < 5
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("coverage_not_refreshed", "warning"),
        ("coverage_refreshed_again", "info"),
    ]
    assert lines[0]["age"] >= 0
    # Nine more attempts, each at least a period after the one before.
    assert lines[1]["away"] >= 0.1


async def test_an_outage_that_lasts_is_said_again_with_the_age_of_what_is_known(
    coordinator: tuple[Coordinator, URL], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, url = coordinator
    monkeypatch.setattr("gateway.druid.completeness.availability.REMIND_EVERY", 0.2)
    with capture_logs() as lines:
        async with Coverage(url, ["x"], period=0.01):
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
