"""What time there is data for, against what was there for a query."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from yarl import URL

from gateway.coverage import (
    Coverage,
    Segment,
    Stretch,
    appended_segments,
    common,
    complement,
    data_stretches,
    merge,
    parse_stretch,
)

stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: Stretch(pair[0], sum(pair))), max_size=12
)


def moments(found: tuple[Stretch, ...] | list[Stretch]) -> set[int]:
    return {moment for start, end in found for moment in range(start, end)}


@given(stretches)
def test_merging_keeps_the_time_and_leaves_gaps_between(given_stretches: list[Stretch]) -> None:
    merged = merge(given_stretches)
    assert moments(merged) == moments(given_stretches)
    assert all(before.end < after.start for before, after in pairwise(merged))


@given(stretches, stretches)
def test_what_is_in_both_is_found(known: list[Stretch], uncovered: list[Stretch]) -> None:
    found = common(merge(known), merge(uncovered))
    assert moments(found) == moments(known) & moments(uncovered)
    assert list(found) == sorted(found)


@given(stretches, st.tuples(st.integers(0, 50), st.integers(1, 40)))
def test_the_complement_is_all_other_time(served: list[Stretch], span: tuple[int, int]) -> None:
    within = Stretch(span[0], sum(span))
    assert moments(complement(served, within)) == moments((within,)) - moments(served)


def test_moments_are_read_and_written_as_druid_does() -> None:
    assert parse_stretch("1970-01-01T00:00:00.001Z", "1970-01-02T00:00:00.000Z") == Stretch(1, 86_400_000)
    assert Stretch(1, 86_400_000).iso() == ("1970-01-01T00:00:00.001Z", "1970-01-02T00:00:00.000Z")


DAY_ONE = "1970-01-01T00:00:00.000Z/1970-01-02T00:00:00.000Z"
DAY_TWO = "1970-01-02T00:00:00.000Z/1970-01-03T00:00:00.000Z"


def segment(
    interval: str = DAY_ONE, *, kind: str = "range", overshadowed: bool = False, replicas: int | None = 2
) -> Any:
    """What the coordinator says of a segment, as far as it matters here."""
    return {
        "interval": interval,
        "version": "1",
        "overshadowed": overshadowed,
        "replicationFactor": replicas,
        "shardSpec": {"type": kind, "partitionNum": 0},
    }


def test_segments_of_the_same_time_are_one_stretch() -> None:
    assert data_stretches([segment(), segment(), segment(DAY_TWO)]) == (Stretch(0, 172_800_000),)


def test_how_often_a_new_segment_is_to_be_loaded_may_not_be_known_yet() -> None:
    assert data_stretches([segment(replicas=None)]) == (Stretch(0, 86_400_000),)


@pytest.mark.parametrize(
    "given_segment",
    [segment(kind="tombstone"), segment(overshadowed=True), segment(replicas=0)],
    ids=["says that there is nothing", "replaced by a newer one", "not to be loaded"],
)
def test_what_nobody_is_to_serve_is_no_data(given_segment: Any) -> None:
    assert data_stretches([given_segment]) == ()


def test_a_description_of_another_form_is_no_guess() -> None:
    with pytest.raises(KeyError):
        data_stretches([{"interval": DAY_ONE}])


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


@pytest.mark.parametrize("stored", [[], [segment(kind="tombstone")]], ids=["nothing", "a tombstone"])
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
    monkeypatch.setattr("gateway.coverage.REMIND_EVERY", 0.2)
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


def described(day: int, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    interval = f"1970-01-0{day}T00:00:00.000Z/1970-01-0{day + 1}T00:00:00.000Z"
    return {
        "interval": interval,
        "version": "1",
        "overshadowed": False,
        "replicationFactor": 1,
        "shardSpec": spec,
        **more,
    }


def numbered(partition: int, core: int = 0) -> dict[str, Any]:
    return {"type": "numbered", "partitionNum": partition, "partitions": core}


def test_of_segments_that_came_one_by_one_each_can_be_missing_alone() -> None:
    found = appended_segments([described(1, numbered(0)), described(1, numbered(1)), described(2, numbered(0))])
    day = parse_stretch(*DAY_ONE.split("/"))
    assert sorted(found) == [Segment(day, "1", 0), Segment(day, "1", 1)]


def test_core_partitions_are_served_together_and_what_was_appended_to_them_is_not() -> None:
    ranges = [{"type": "range", "partitionNum": each, "numCorePartitions": 2} for each in range(2)]
    found = appended_segments([described(1, spec) for spec in (*ranges, numbered(2, core=2))])
    assert [each.partition for each in found] == [2]


def test_what_is_not_to_be_served_is_not_missed() -> None:
    others = [
        described(1, numbered(1), overshadowed=True),
        described(1, numbered(2), replicationFactor=0),
        described(1, {"type": "tombstone", "partitionNum": 0, "partitions": 1}),
    ]
    assert appended_segments([described(1, numbered(0)), *others]) == ()
