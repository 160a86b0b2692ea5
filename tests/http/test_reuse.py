"""Identical reports are answered from memory; every other step of a request stays the same."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.catalog.mismatch import Difference, Mismatch
from gateway.web.context import SERVICES
from gateway.web.encoders import FORMATS, encode
from tests.http.asking import COUNT, ask, assert_problem
from tests.http.conftest import Start
from tests.http.coordinator import HAS_DATA, NEVER_HAD_DATA, SEGMENT, coordinator
from tests.http.stand_in import CLASS, StandIn, error, respond, row
from tests.http.test_links import link, send
from tests.serving import D, P, T

FRESH = {"Cache-Control": "max-stale=5, No-Cache"}


@dataclass(slots=True)
class Versioned:
    """Answers as Druid does: 304 to a request that names the version of its data. Each answer has another count."""

    version: str | None = "v1"
    uncovered: list[str] = field(default_factory=lambda: list(NEVER_HAD_DATA))
    asked: list[str | None] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("If-None-Match"))
        if self.version is not None and self.asked[-1] == self.version:
            return web.Response(status=304)
        context = {"uncoveredIntervals": self.uncovered, "uncoveredIntervalsOverflowed": False}
        headers = {"X-Druid-Response-Context": json.dumps(context)}
        if self.version is not None:
            headers["ETag"] = self.version
        return web.json_response(row(count=len(self.asked)), headers=headers)


def told(answer: Any) -> tuple[int, str, str | None]:
    """The number in an answer, and where it comes from."""
    return answer.data[0][-1], answer.headers["cache-status"], answer.headers.get("age")


MISS, HIT, CONFIRMED = "gateway; fwd=miss", "gateway; hit", "gateway; fwd=stale; fwd-status=304"


async def test_a_repeated_report_is_answered_from_memory(start: Start, druid_stand_in: StandIn) -> None:
    druid = Versioned()
    druid_stand_in.answer = druid.answer
    client = await start(druid_stand_in.url, reuse_seconds=60)
    first, second = await client.post(), await client.post()
    assert (told(first), told(second)) == ((1, MISS, None), (1, HIT, "0"))
    assert first.body == second.body
    assert len(druid.asked) == 1
    assert int(first.headers["ratelimit"].split("r=")[1].split(";")[0]) > int(
        second.headers["ratelimit"].split("r=")[1].split(";")[0]
    )


async def test_the_age_is_that_of_the_rows(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = Versioned().answer
    client = await start(druid_stand_in.url, reuse_seconds=60)
    await client.post()
    await asyncio.sleep(1.05)
    assert told(await client.post()) == (1, HIT, "1")


async def test_no_cache_makes_druid_compute_the_report(start: Start, druid_stand_in: StandIn) -> None:
    druid = Versioned()
    druid_stand_in.answer = druid.answer
    client = await start(druid_stand_in.url, reuse_seconds=60)
    await client.post()
    assert told(await ask(client, headers=FRESH)) == (2, "gateway; fwd=request", None)
    assert [told(await client.post()) for _ in range(2)] == [(2, HIT, "0")] * 2
    assert told(await ask(client, headers=FRESH)) == (3, "gateway; fwd=request", None)
    assert told(await client.post()) == (3, HIT, "0")


async def test_a_stored_report_is_confirmed_by_druid_and_replaced_when_data_changes(
    start: Start, druid_stand_in: StandIn
) -> None:
    druid = Versioned()
    druid_stand_in.answer = druid.answer
    client = await start(druid_stand_in.url, reuse_seconds=0.05)
    answers = []
    for _ in range(2):
        answers.append(told(await client.post()))
        await asyncio.sleep(0.1)
    druid.version = "v2"
    answers.append(told(await client.post()))
    assert answers == [(1, MISS, None), (1, CONFIRMED, None), (3, MISS, None)]
    assert druid.asked == ["none", "v1", "v1"]


async def test_waiting_callers_share_one_confirmation(start: Start, druid_stand_in: StandIn) -> None:
    druid = Versioned()
    druid_stand_in.answer = druid.answer
    client = await start(druid_stand_in.url, reuse_seconds=0.05)
    await client.post()
    await asyncio.sleep(0.1)

    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return await druid.answer(request)

    druid_stand_in.answer = slowly
    answers = await asyncio.gather(*(client.post() for _ in range(5)))
    assert sorted(told(answer)[1] for answer in answers) == ["gateway; fwd=miss; collapsed"] * 4 + [CONFIRMED]
    assert druid.asked == ["none", "v1"]


async def test_completeness_is_checked_when_druid_confirms_a_report(start: Start, druid_stand_in: StandIn) -> None:
    """The broker has not learned of a segment: its own data is unchanged, but it lacks data that exists."""
    druid = Versioned(uncovered=[*NEVER_HAD_DATA, *HAS_DATA])
    druid_stand_in.answer = druid.answer
    segments: list[Any] = []
    async with coordinator(segments) as url:
        client = await start(druid_stand_in.url, druid_coordinator_url=url, coverage_period=0.1, reuse_seconds=0.05)
        assert told(await client.post()) == (1, MISS, None)
        segments.append(SEGMENT)
        await asyncio.sleep(0.5)
        assert_problem(await client.post(), 503, "data_unavailable")
    assert druid.asked == ["none", "v1"]


async def test_reports_of_other_tenants_are_not_answered_from_memory(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = Versioned().answer
    client = await start(druid_stand_in.url, reuse_seconds=60)
    assert told(await client.post(organization=T)) == (1, MISS, None)
    assert told(await client.post()) == (2, MISS, None)
    # The partner's rows within its own ones are another tenant's.
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    body = json.dumps(COUNT).encode()
    assert told(await client.send("POST", client.gateway.path(P), headers=headers, data=body)) == (3, MISS, None)
    assert_problem(await client.post(organization=D, token=client.gateway.tokens[T]), 403, "forbidden")


async def test_an_error_is_not_reused(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = error(503)
    client = await start(druid_stand_in.url, reuse_seconds=60)
    assert_problem(await client.post(), 503, "upstream_unavailable")
    druid_stand_in.answer = respond(row(count=7))
    assert told(await client.post()) == (7, MISS, None)


async def test_a_query_whose_segment_was_dropped_is_sent_again_without_a_version(
    start: Start, druid_stand_in: StandIn
) -> None:
    druid = Versioned()
    gone = {"error": "Unknown exception", "errorClass": CLASS.replace("QueryTimeout", "SegmentMissing")}

    async def once(request: web.Request) -> web.StreamResponse:
        druid_stand_in.answer = druid.answer
        return await respond(gone, status=500)(request)

    druid_stand_in.answer = once
    client = await start(druid_stand_in.url, reuse_seconds=60)
    assert told(await client.post()) == (1, MISS, None)
    assert druid.asked == [None]
    contexts = [asked.query["context"] for asked in druid_stand_in.queries]
    assert [each.get("numRetriesOnMissingSegments") for each in contexts] == [0, None]


async def test_the_audit_line_says_where_the_rows_come_from(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = Versioned().answer
    client = await start(druid_stand_in.url, reuse_seconds=60)
    with capture_logs() as lines:
        await client.post()
        await client.post()
    audits = [line for line in lines if line["event"] == "request_finished"]
    assert [line["rows_from"] for line in audits] == ["druid", "memory"]
    assert audits[0]["druid_query_id"] == audits[1]["druid_query_id"]


async def test_every_format_and_method_of_a_stored_report_has_its_own_answer(
    start: Start, druid_stand_in: StandIn
) -> None:
    druid = Versioned()
    druid_stand_in.answer = druid.answer
    client = await start(druid_stand_in.url, reuse_seconds=60)
    body, path = json.dumps(COUNT), client.gateway.path()
    requests = [
        *(("POST", f"{path}?format={form}", body) for form in FORMATS),
        *(("GET", link(client, format=form), None) for form in FORMATS),
        ("HEAD", link(client), None),
        ("POST", f"{path}?explain=true", body),
    ]
    # Made from Druid's response, made again from it in memory, and stored then.
    first, *later = [[await send(client, method, at, data=data) for method, at, data in requests] for _ in range(3)]
    described = {"content-type", "content-disposition", "omitted-members", "etag", "vary", "cache-control"}
    for again in later:
        assert [answer.body for answer in first] == [answer.body for answer in again]
        for before, after in zip(first, again, strict=True):
            assert {name: before.headers.get(name) for name in described} == {
                name: after.headers.get(name) for name in described
            }
    assert len(druid.asked) == 1
    etag = {"If-None-Match": first[len(FORMATS)].headers["etag"]}
    answer = await send(client, "GET", link(client, format="json"), etag)
    assert (answer.status, answer.body, answer.headers["cache-status"]) == (304, b"", HIT)


@pytest.mark.parametrize(
    "changes",
    [
        {"interval": {"start": "2019-01-01", "end": f"{datetime.now(UTC).date() + timedelta(days=30)}"}},
        {"interval": {"last": "P7D"}},
        {"freshness": True},
        {"aggregations": [{"type": "count"}], "limit": 5, "offset": 0, "group_by": ["scope"]},
    ],
    ids=["not over", "relative", "freshness", "page"],
)
async def test_an_answer_that_depends_on_the_time_is_made_again(
    start: Start, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    druid_stand_in.answer = respond([])
    client = await start(druid_stand_in.url, reuse_seconds=60)
    encoded: list[object] = []

    async def counted(*arguments: Any) -> Any:
        encoded.append(arguments)
        return await encode(*arguments)

    monkeypatch.setattr("gateway.web.reports.encode", counted)
    for _ in range(3):
        assert (await client.post(COUNT | changes)).status == 200
    assert len(encoded) == 3
    # Any other is stored the second time.
    for _ in range(2):
        assert (await client.post()).status == 200
    made = len(encoded)
    assert (await client.post()).status == 200
    assert len(encoded) == made


async def test_a_stored_answer_ends_with_its_time_and_with_its_data_set(start: Start, druid_stand_in: StandIn) -> None:
    druid = Versioned(version=None)
    druid_stand_in.answer = druid.answer
    client = await start(druid_stand_in.url, reuse_seconds=0.3)
    assert [told(await client.post())[:2] for _ in range(3)] == [(1, MISS), (1, HIT), (1, HIT)]
    await asyncio.sleep(0.35)
    assert told(await client.post())[:2] == (2, MISS)
    schemas = client.gateway.app[SERVICES].druid.schemas
    [watched] = schemas._watched.values()
    watched.mismatches = (Mismatch(Difference.COLUMN_TYPE, "made up"),)
    assert_problem(await client.post(), 503, "data_set_unavailable")


async def test_many_callers_get_a_stored_answer_compressed_at_the_same_time(
    start: Start, druid_stand_in: StandIn
) -> None:
    by_user = COUNT | {"group_by": ["user_id"]}
    druid_stand_in.answer = respond([[f"{number:032x}", number] for number in range(600)])
    client = await start(druid_stand_in.url, reuse_seconds=60)
    compressed = {"Accept-Encoding": "gzip"}
    linked, posted = ("GET", link(client, by_user), None), ("POST", client.gateway.path(), json.dumps(by_user))
    for method, path, data in (linked, posted):
        # The second answer is stored.
        for _ in range(2):
            assert (await send(client, method, path, compressed, data)).headers["content-encoding"] == "gzip"
        answers = await asyncio.gather(*(send(client, method, path, compressed, data) for _ in range(40)))
        assert {(answer.status, answer.headers["cache-status"]) for answer in answers} == {(200, HIT)}


async def test_a_link_to_a_page_is_refused_whether_or_not_its_report_is_stored(
    start: Start, druid_stand_in: StandIn
) -> None:
    druid_stand_in.answer = Versioned().answer
    client = await start(druid_stand_in.url, reuse_seconds=60)
    for _ in range(2):
        assert (await send(client, "GET", link(client))).status == 200
    assert_problem(await send(client, "GET", link(client, page="made-up")), 400, "invalid_report")
