"""Existing data that no server has: an error, never a number without it."""

import json
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.http.asking import assert_problem
from tests.http.conftest import Start
from tests.http.coordinator import HAS_DATA, NEVER_HAD_DATA, SEGMENT, coordinator, uncovered
from tests.http.stand_in import Handler, StandIn, error, respond, respond_with, row


async def test_time_without_data_is_zero(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered(NEVER_HAD_DATA)
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert (await client.post()).data == [["2019-01-01T00:00:00.000+02:00", 7]]
    assert druid_stand_in.queries[0].query["context"]["uncoveredIntervalsLimit"] > 0


async def test_data_that_no_server_has_is_503(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered(NEVER_HAD_DATA + HAS_DATA)
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        answer = await client.post()
    assert_problem(answer, 503, "data_unavailable")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    "confirm", [error(404), error(500), respond_with(b""), respond_with(b"", status=204), respond_with(b"<html>")]
)
async def test_a_failing_coordinator_does_not_confirm_that_data_was_deleted(
    start: Start, druid_stand_in: StandIn, confirm: Handler
) -> None:
    druid_stand_in.answer = uncovered(HAS_DATA)
    async with coordinator([SEGMENT], confirm) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert_problem(await client.post(), 503, "data_unavailable")


async def test_data_that_was_just_deleted_is_not_missing(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered(HAS_DATA)
    async with coordinator([SEGMENT], respond([])) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert (await client.post()).status == 200


@pytest.mark.parametrize(
    ("interval", "status"), [(SEGMENT["interval"], 200), ("2019-01-01T00:00:00.000Z/2019-01-02T00:00:00.000Z", 503)]
)
async def test_a_deleted_data_source_is_not_missing(
    start: Start, druid_stand_in: StandIn, interval: str, status: int
) -> None:
    tombstone = SEGMENT | {"interval": interval, "version": "2", "shardSpec": {"type": "tombstone", "partitionNum": 0}}
    druid_stand_in.answer = uncovered(HAS_DATA)
    async with coordinator([SEGMENT], respond([SEGMENT, tombstone])) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert (await client.post()).status == status


CANDIDATE = {"interval": SEGMENT["interval"], "version": "1", "partitionNumber": 0}
SERVED = [CANDIDATE | {"locations": [{"server": "h", "type": "historical"}]}]
NOT_SERVED = [CANDIDATE | {"locations": []}]
UNKNOWN: list[Any] = [
    None,
    # Druid's own words for a data source that it does not know, as a broker that has just started does not.
    {},
    {"uncoveredIntervals": "?"},
    {"uncoveredIntervals": NEVER_HAD_DATA, "uncoveredIntervalsOverflowed": True},
    {"uncoveredIntervals": NEVER_HAD_DATA, "uncoveredIntervalsOverflowed": False, "truncated": True},
]


def says(context: Any, count: int) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        headers = {} if context is None else {"X-Druid-Response-Context": json.dumps(context)}
        return web.json_response(row(count=count), headers=headers)

    return handler


async def vanish(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_every_query_includes_the_probe_interval_so_that_druid_lists_uncovered_intervals(
    start: Start, druid_stand_in: StandIn
) -> None:
    async with coordinator([SEGMENT]) as url:
        await (await start(druid_stand_in.url, druid_coordinator_url=url)).post()
    never, asked = druid_stand_in.queries[0].query["intervals"]
    assert never.startswith("1000-01-01")
    assert asked.startswith("2018-12-31")


@pytest.mark.parametrize("context", UNKNOWN)
async def test_without_a_list_of_uncovered_intervals_the_query_is_repeated_once_the_broker_has_everything(
    start: Start, druid_stand_in: StandIn, context: Any
) -> None:
    druid_stand_in.answer = says(context, 3)

    async def now_it_knows(request: web.Request) -> web.StreamResponse:
        druid_stand_in.answer = says(context, 7)
        return await respond(SERVED)(request)

    druid_stand_in.candidates = now_it_knows
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert (await client.post()).data == [["2019-01-01T00:00:00.000+02:00", 7]]
    assert len(druid_stand_in.queries) == 2


@pytest.mark.parametrize("context", UNKNOWN)
@pytest.mark.parametrize(
    ("candidates", "told"),
    [
        (respond(NOT_SERVED), (503, "data_unavailable")),
        (respond([]), (503, "data_unavailable")),
        (vanish, (503, "data_unavailable")),
        # This does not show what is missing.
        (error(404), (502, "bad_upstream_answer")),
        (respond_with(b"<html>"), (502, "bad_upstream_answer")),
    ],
)
async def test_503_if_it_is_unknown_what_the_broker_lacks(
    start: Start, druid_stand_in: StandIn, context: Any, candidates: Handler, told: tuple[int, str]
) -> None:
    druid_stand_in.answer = says(context, 3)
    druid_stand_in.candidates = candidates
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert_problem(await client.post(), *told)


async def test_503_if_the_broker_fails_before_the_repeated_query(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = says({}, 3)

    async def last_words(request: web.Request) -> web.StreamResponse:
        druid_stand_in.answer = vanish
        return await respond(SERVED)(request)

    druid_stand_in.candidates = last_words
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert_problem(await client.post(), 503, "data_unavailable")


async def test_503_until_the_existing_data_is_known(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered([])
    async with coordinator(None) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert_problem(await client.post(), 503, "data_unavailable")
        assert (await client.send("GET", "/readyz")).status == 503


async def test_without_completeness_the_response_is_accepted(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered(HAS_DATA)
    client = await start(druid_stand_in.url)
    assert (await client.post()).status == 200
    assert "uncoveredIntervalsLimit" not in druid_stand_in.queries[0].query["context"]


async def test_the_log_has_the_age_of_the_availability_data(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = uncovered(HAS_DATA)
    async with coordinator([SEGMENT]) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        with capture_logs() as lines:
            await client.post()
    [line] = [line for line in lines if line["event"] == "data_unavailable"]
    assert 0 <= line["coverage_age"] < 60


def appended(partition: int, version: str = "1") -> dict[str, Any]:
    """A segment of those that a stream published, as the coordinator describes it."""
    return SEGMENT | {
        "version": version,
        "shardSpec": {"type": "numbered", "partitionNum": partition, "partitions": 0},
    }


def has(*partitions: int, version: str = "1") -> Handler:
    """The broker's list of what is served."""
    here = {"interval": SEGMENT["interval"], "version": version, "locations": [{"server": "h", "type": "historical"}]}
    return respond([here | {"partitionNumber": partition} for partition in partitions])


BOTH = [appended(0), appended(1)]


async def test_an_appended_segment_that_no_server_has_is_503(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer, druid_stand_in.candidates = uncovered(NEVER_HAD_DATA), has(0)
    async with coordinator(BOTH) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert_problem(await client.post(), 503, "data_unavailable")
        druid_stand_in.candidates = has(0, 1)
        assert (await client.post()).status == 200


async def test_a_segment_that_appears_during_the_query_is_503(start: Start, druid_stand_in: StandIn) -> None:
    async def meanwhile(request: web.Request) -> web.StreamResponse:
        druid_stand_in.candidates = has(0, 1)
        return await uncovered(NEVER_HAD_DATA)(request)

    druid_stand_in.answer, druid_stand_in.candidates = meanwhile, has(0)
    async with coordinator(BOTH) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert_problem(await client.post(), 503, "data_unavailable")
        assert druid_stand_in.queries == [], "a broker that lacks something is not even asked"


async def test_a_segment_that_disappears_during_the_query_is_503(start: Start, druid_stand_in: StandIn) -> None:
    async def meanwhile(request: web.Request) -> web.StreamResponse:
        druid_stand_in.candidates = has(0)
        return await uncovered(NEVER_HAD_DATA)(request)

    druid_stand_in.answer, druid_stand_in.candidates = meanwhile, has(0, 1)
    async with coordinator(BOTH) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert_problem(await client.post(), 503, "data_unavailable")


@pytest.mark.parametrize(
    ("candidates", "stored"),
    [(has(0, version="2"), BOTH), (has(0), [appended(0)])],
    ids=["compacted a moment ago", "deleted a moment ago"],
)
async def test_a_deleted_appended_segment_is_not_missing(
    start: Start, druid_stand_in: StandIn, candidates: Handler, stored: list[Any]
) -> None:
    druid_stand_in.answer, druid_stand_in.candidates = uncovered(NEVER_HAD_DATA), candidates
    async with coordinator(BOTH, respond(stored)) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert (await client.post()).status == 200


@pytest.mark.parametrize("candidates", [respond_with(b"<html>"), respond([{}]), error(500)])
async def test_503_if_the_broker_does_not_list_its_segments(
    start: Start, druid_stand_in: StandIn, candidates: Handler
) -> None:
    druid_stand_in.answer, druid_stand_in.candidates = uncovered(NEVER_HAD_DATA), candidates
    async with coordinator(BOTH) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        assert_problem(await client.post(), 503, "data_unavailable")


async def test_readyz_shows_that_completeness_is_off(start: Start, druid_stand_in: StandIn) -> None:
    with capture_logs() as lines:
        client = await start(druid_stand_in.url, completeness="off")
    assert [line["log_level"] for line in lines if line["event"] == "completeness_off"] == ["warning"]
    ready = await client.send("GET", "/readyz")
    assert (ready.status, ready.json["completeness"]) == (200, "off")


async def test_readyz_lists_unknown_data_sources(start: Start, druid_stand_in: StandIn) -> None:
    async with coordinator(None) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url)
        ready = await client.send("GET", "/readyz")
    assert (ready.json["completeness"], ready.json["unknown_data_sources"]) == ("on", ["chat_sessions"])


async def test_missing_segments_are_an_error_even_if_completeness_is_off(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = says({"missingSegments": [{"itvl": SEGMENT["interval"], "ver": "1", "part": 0}]}, 3)
    client = await start(druid_stand_in.url)
    assert_problem(await client.post(), 503, "data_unavailable")
