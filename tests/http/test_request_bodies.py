"""Bodies: which ones are read, how much memory they take, and how long they may take to arrive."""

import asyncio
import gzip
import json
import resource
from collections import Counter
from contextlib import AsyncExitStack, suppress

import pytest

from gateway.web.context import SERVICES
from gateway.web.request_body import BodyBudget
from tests.http import raw
from tests.http.asking import COUNT, Client, assert_problem
from tests.http.conftest import Start, StartProcess
from tests.http.stalls import measured_stalls
from tests.http.stand_in import StandIn
from tests.http.test_slow_callers import MEBIBYTE, resident
from tests.serving import D, P, T

UNKNOWN = f"gwt_aaaaaaaa_{'a' * 43}"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "snappy", "identity, gzip"])
async def test_a_body_with_a_content_coding_is_415_and_the_connection_is_closed(client: Client, coding: str) -> None:
    answer, closed = await raw.ask(
        client, raw.with_length(client, gzip.compress(raw.encoded(COUNT)), f"Content-Encoding: {coding}")
    )
    assert_problem(answer, 415, "unsupported_media_type")
    assert answer.headers["accept-encoding"] == "identity"
    assert closed


async def test_a_body_that_is_declared_as_not_coded_is_accepted(client: Client) -> None:
    answer, closed = await raw.ask(client, raw.with_length(client, raw.encoded(COUNT), "Content-Encoding: identity"))
    assert answer.status == 200
    assert not closed


@pytest.mark.parametrize("token", [None, "", UNKNOWN])
@pytest.mark.parametrize("path", ["", "/healthz", "/nowhere"])
async def test_a_compressed_body_is_never_inflated(client: Client, path: str, token: str | None) -> None:
    bomb = gzip.compress(bytes(200 * MEBIBYTE), compresslevel=1)[: 1 * MEBIBYTE]
    async with measured_stalls() as stalls:
        fields = ("Content-Encoding: gzip", f"Content-Length: {len(bomb)}")
        answer, _ = await raw.ask(client, raw.head(client, *fields, path=path, token=token) + bomb)
    assert answer.status == 415
    assert stalls.longest < 0.02


async def test_a_corrupt_compressed_body_is_415(client: Client) -> None:
    answer, _ = await raw.ask(client, raw.with_length(client, b"this is not gzip", "Content-Encoding: gzip"))
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("token", ["", UNKNOWN])
async def test_the_body_of_an_unauthenticated_request_is_not_awaited(client: Client, token: str) -> None:
    answer, closed = await raw.ask(client, raw.head(client, "Content-Length: 200000", token=token) + b"{")
    assert_problem(answer, 401, "unauthenticated")
    assert closed


async def test_a_refused_body_is_not_drained(client: Client) -> None:
    async with raw.connected(client) as (reader, writer):
        writer.write(raw.head(client, "Content-Length: 100000000", token=UNKNOWN))
        assert (await raw.read_answer(reader)).status == 401
        sent = 0
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(5):
                while sent < 100_000_000:
                    writer.write(bytes(MEBIBYTE))
                    await writer.drain()
                    sent += MEBIBYTE
        # What the systems' buffers hold.
        assert sent < 20 * MEBIBYTE


async def test_a_body_that_announces_too_much_is_413_before_it_is_sent(client: Client) -> None:
    size = client.gateway.settings.max_body_bytes + 1
    answer, closed = await raw.ask(client, raw.head(client, f"Content-Length: {size}"))
    assert_problem(answer, 413, "request_entity_too_large")
    assert closed


async def test_a_body_is_received_within_one_of_the_organizations_slots(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, concurrent_reports=2)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            _, writer = await stack.enter_async_context(raw.connected(client))
            writer.write(raw.head(client, "Content-Length: 100") + b"{")
        async with asyncio.timeout(10):
            while (answer := await client.post()).status == 200:
                pass
        assert_problem(answer, 429, "rate_limited")
        assert answer.headers["ratelimit-policy"].startswith('"concurrent-reports"')
        assert (await client.post(organization=T)).status == 200


async def test_the_budget_for_bodies_is_shared_and_given_back(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, body_memory=4096, max_body_bytes=2048, body_timeout=1.0)
    budget = client.gateway.app[SERVICES].body_budget
    async with raw.connected(client) as (reader, writer):
        writer.write(raw.head(client, "Transfer-Encoding: chunked") + b"1\r\n{\r\n")
        async with asyncio.timeout(10):
            while budget.reserved < 2048:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0.01)
        refused = await client.post()
        assert_problem(refused, 429, "too_many_requests")
        assert refused.headers["retry-after"] == "1"
        assert (await client.post(organization=T)).status == 200
        assert_problem(await raw.read_answer(reader), 408, "request_timeout")
    assert budget.reserved == 0
    assert (await client.post()).status == 200


def test_one_organization_gets_half_of_the_budget_for_bodies() -> None:
    budget = BodyBudget(100)
    with budget.reserve(D, 50):
        with pytest.raises(Exception, match="Too many request bodies"), budget.reserve(D, 1):
            pass
        with budget.reserve(P, 50), pytest.raises(Exception, match="Too many request bodies"), budget.reserve(T, 1):
            pass
        assert budget.reserved == 50
    assert budget.reserved == 0


def test_reservations_of_nothing_end_in_any_order() -> None:
    budget = BodyBudget(100)
    with budget.reserve(D, 0), budget.reserve(D, 0):
        pass
    assert budget.reserved == 0


async def test_three_hundred_unfinished_bodies_stay_within_the_budget(
    start_process: StartProcess, druid_stand_in: StandIn
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    budget = 8 * MEBIBYTE
    limits = {"body_memory": budget, "body_timeout": 3, "concurrent_reports": 1000}
    statuses: Counter[int] = Counter()
    async with start_process(druid_stand_in.url, **limits) as process:
        assert (await process.client.post()).status == 200
        before = resident(process)

        async def send(number: int) -> None:
            gateway, organization = process.client.gateway, (D, P, T)[number % 3]
            target = {"path": gateway.path(organization), "token": gateway.tokens[organization]}
            async with raw.connected(process.client) as (reader, writer):
                writer.write(raw.head(process.client, "Content-Length: 262144", **target) + bytes(250_000))
                statuses[(await raw.read_answer(reader)).status] += 1

        async with asyncio.TaskGroup() as group:
            for number in range(300):
                group.create_task(send(number))
        growth = resident(process, "VmHWM") - before
        assert (await process.client.post()).status == 200
    print(f"{growth / MEBIBYTE:.0f} MiB more than before, {dict(statuses)}")
    assert set(statuses) == {408, 429}
    assert 0 < statuses[408] <= budget // 262_144
    assert growth < 5 * budget


async def test_a_body_of_many_tiny_chunks_stalls_nobody(client: Client) -> None:
    chunks = b"1\r\n \r\n" * 200_000 + b"0\r\n\r\n"
    async with measured_stalls() as stalls:
        answer, _ = await raw.ask(client, raw.head(client, "Transfer-Encoding: chunked") + chunks)
    assert json.loads(answer.body)["code"] == "invalid_json"
    assert stalls.longest < 0.02
