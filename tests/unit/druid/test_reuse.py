"""Identical queries are answered from memory, for a limited time, or until Druid's data changes."""

import asyncio
from typing import Any

import orjson
import pytest

from gateway.druid.chain import NOTHING_KNOWN, DruidResponse, KeyedRequest, Known
from gateway.druid.memory_budget import GROWTH, MemoryBudget
from gateway.druid.reuse import Reuse, StoredResponse
from gateway.druid.stored import Stored
from gateway.errors import DruidUnavailable, MemoryExhausted
from tests.http.stalls import measured_stalls
from tests.unit.druid.links import (
    INSTRUMENTS,
    OTHER_TENANT,
    NextLink,
    fill_with_small_entries,
    query,
    requested,
    soon,
)

SECONDS = 0.2


class Druid:
    """The next link: responds with the number of its query, and with the version of its data."""

    def __init__(self, version: str | None = "v1", *, seconds: float = SECONDS, limit: int = 1 << 20) -> None:
        self.version = version
        self.body = b""
        self.next: NextLink[KeyedRequest] = NextLink(self._respond)
        self.stored: Stored[bytes, StoredResponse] = Stored(limit)
        self.memory = MemoryBudget(limit, INSTRUMENTS.answers_bytes, self.stored)
        self.link = Reuse(seconds, self.stored, self.memory, INSTRUMENTS.reuse, self.next)

    @property
    def asked(self) -> int:
        return len(self.next.requests)

    async def _respond(self, request: KeyedRequest) -> DruidResponse:
        sent_at = soon(0)
        lease = self.memory.lease(request.query.tenant.owner_organization_id)
        known = request.known
        if known is not None and known.version == self.version:
            rows = orjson.loads(known.body)
            return DruidResponse(rows, lease, "id", sent_at, sent_at, (), known.version, known.body, "confirmed")
        body = self.body or orjson.dumps([self.asked])
        lease.resize(GROWTH * len(body))
        return DruidResponse(orjson.loads(body), lease, "id", sent_at, sent_at, (), self.version, body)

    async def ask(self, *, fresh: bool = False, **changes: Any) -> tuple[list[Any], str]:
        response = await self.link.run(requested(query(**changes), fresh=fresh))
        response.lease.release()
        return list(response.rows), response.origin


async def test_an_identical_query_is_answered_from_memory() -> None:
    druid = Druid()
    assert [await druid.ask() for _ in range(3)] == [([1], "druid"), ([1], "memory"), ([1], "memory")]
    assert druid.asked == 1


async def test_every_request_gets_rows_of_its_own() -> None:
    druid = Druid()
    await druid.ask()
    first, second = [(await druid.link.run(requested())).rows for _ in range(2)]
    assert first == second
    assert first is not second


async def test_a_different_query_is_not_answered_from_memory() -> None:
    druid = Druid()
    await druid.ask()
    assert await druid.ask(intervals="2019-01-01/2020-01-01") == ([2], "druid")


async def test_the_same_native_query_of_another_tenant_is_not_answered_from_memory() -> None:
    druid = Druid()
    await druid.ask()
    forged = query(OTHER_TENANT, **query().native)
    assert (await druid.link.run(requested(forged))).rows == [2]


async def test_unchanged_segments_are_confirmed_after_the_time() -> None:
    druid = Druid()
    await druid.ask()
    await asyncio.sleep(SECONDS)
    assert await druid.ask() == ([1], "confirmed")
    assert await druid.ask() == ([1], "memory")
    assert [request.known for request in druid.next.requests] == [NOTHING_KNOWN, Known("v1", b"[1]", ())]


async def test_changed_segments_are_read_again_after_the_time() -> None:
    druid = Druid()
    await druid.ask()
    druid.version = "v2"
    assert await druid.ask() == ([1], "memory")
    await asyncio.sleep(SECONDS)
    assert await druid.ask() == ([2], "druid")
    assert await druid.ask() == ([2], "memory")


async def test_rows_without_a_version_are_dropped_after_the_time() -> None:
    druid = Druid(None)
    await druid.ask()
    assert await druid.ask() == ([1], "memory")
    assert druid.memory.used > 0
    await asyncio.sleep(SECONDS * 1.1)
    assert druid.memory.used == 0
    assert await druid.ask() == ([2], "druid")


async def test_the_time_begins_when_the_query_is_sent() -> None:
    druid = Druid(None)

    async def slow(request: KeyedRequest) -> DruidResponse:
        response = await druid._respond(request)
        await asyncio.sleep(SECONDS)
        return response

    druid.next.respond = slow
    await druid.ask()
    assert await druid.ask() == ([2], "druid")


async def test_a_fresh_request_is_not_answered_from_memory_but_stored() -> None:
    druid = Druid()
    await druid.ask()
    assert await druid.ask(fresh=True) == ([2], "druid")
    assert druid.next.requests[1].known is NOTHING_KNOWN
    assert await druid.ask() == ([2], "memory")


async def test_an_older_response_does_not_replace_a_newer_one() -> None:
    druid = Druid()
    may_end = asyncio.Event()

    async def late(request: KeyedRequest) -> DruidResponse:
        response = await druid._respond(request)
        await may_end.wait()
        return response

    druid.next.respond = late
    first = asyncio.create_task(druid.ask())
    await asyncio.sleep(0)
    druid.next.respond = druid._respond
    assert await druid.ask(fresh=True) == ([2], "druid")
    may_end.set()
    assert await first == ([1], "druid")
    assert await druid.ask() == ([2], "memory")


async def test_a_query_with_a_lookup_is_reused_but_never_confirmed() -> None:
    druid = Druid()
    column = {"type": "expression", "name": "_name", "expression": "lookup(\"user_id\",'names')"}
    assert await druid.ask(virtualColumns=[column]) == ([1], "druid")
    assert await druid.ask(virtualColumns=[column]) == ([1], "memory")
    await asyncio.sleep(SECONDS * 1.1)
    assert await druid.ask(virtualColumns=[column]) == ([2], "druid")
    assert [request.known for request in druid.next.requests] == [None, None]


async def test_nothing_is_stored_if_the_time_is_zero() -> None:
    druid = Druid(seconds=0)
    assert [await druid.ask() for _ in range(2)] == [([1], "druid"), ([2], "druid")]
    assert druid.memory.used == 0
    assert druid.next.requests[0].known is None


async def test_a_failure_is_not_stored_and_the_response_before_it_stays() -> None:
    druid = Druid()
    await druid.ask()
    await asyncio.sleep(SECONDS)

    async def fail(_: KeyedRequest) -> DruidResponse:
        raise DruidUnavailable("down")

    druid.next.respond = fail
    with pytest.raises(DruidUnavailable):
        await druid.ask()
    druid.next.respond = druid._respond
    assert await druid.ask() == ([1], "confirmed")


async def test_stored_responses_are_dropped_before_a_response_is_rejected() -> None:
    druid = Druid(limit=100_000)
    for day in range(1, 9):
        await druid.ask(intervals=f"2019-01-0{day}/2020-01-01")
    used = druid.memory.used
    assert used > 8 * 1024
    with druid.memory.lease("another organization") as lease:
        lease.resize(99_000)
        assert druid.memory.used <= 100_000
        with pytest.raises(MemoryExhausted):
            lease.resize(100_001)
    assert druid.memory.used < used
    # The response that was used last is dropped last.
    assert await druid.ask(intervals="2019-01-01/2020-01-01") == ([9], "druid")


async def test_a_large_response_from_memory_takes_the_place_of_many_small_ones_without_a_stall() -> None:
    druid = Druid(seconds=60, limit=1 << 26)
    druid.body = orjson.dumps([["x" * 1_000, number] for number in range(4_000)])
    # The oldest are dropped first.
    fill_with_small_entries(druid.stored, druid.memory)
    rows, _ = await druid.ask()
    fill_with_small_entries(druid.stored, druid.memory)
    before = druid.stored.size
    async with measured_stalls() as stalls:
        assert await druid.ask() == (rows, "memory")
    assert before - druid.stored.size > 15 << 20
    assert stalls.longest < 0.02


async def test_an_organization_at_its_share_loses_its_own_stored_responses() -> None:
    druid = Druid(limit=100_000)
    await druid.ask()
    owner = query().tenant.owner_organization_id
    other = await druid.link.run(requested(query(OTHER_TENANT)))
    with druid.memory.lease(owner) as lease:
        lease.resize(60_000)
    assert await druid.ask() == ([3], "druid")
    assert (await druid.link.run(requested(query(OTHER_TENANT)))).origin == "memory"
    other.lease.release()


async def test_stored_responses_have_a_limit_of_their_own() -> None:
    druid = Druid(limit=40_000)
    for day in range(10, 30):
        await druid.ask(intervals=f"2019-01-{day}/2020-01-01")
    assert druid.memory.used <= 40_000
    druid.body = orjson.dumps(["x" * 5_000])
    assert (await druid.ask())[1] == "druid"
    assert (await druid.ask())[1] == "druid", "a large response is not stored"
