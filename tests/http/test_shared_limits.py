"""Limits that several gateways count together in a real Redis, and what happens without it."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway.accounts import api_tokens as tokens
from gateway.web import rate_limit as limiting
from tests.http.limited import Start, limited_gateways
from tests.redis import Redis


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    async with limited_gateways(tmp_path) as start:
        yield start


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    yield server
    server.stop()


async def test_several_gateways_share_counters_in_redis(start: Start, redis: Redis) -> None:
    limits = {"requests_per_minute": 8, "failed_authentications_per_minute": 4, "concurrent_reports": 2}
    one, other = [await start(limits_url=redis.url, **limits) for _ in range(2)]

    one.druid.open.clear()
    two = [asyncio.create_task(each.ask()) for each in (one, other)]
    await one.druid.arrived(2)
    full = [await asyncio.wait_for(each.statuses(1), 10) for each in (one, other)]
    one.druid.open.set()
    assert full == [[429], [429]]
    assert [(await task).status for task in two] == [200, 200]

    assert [await each.statuses(2) for each in (one, other)] == [[200, 200], [200, 200]]
    refused = [await each.ask() for each in (one, other)]
    assert [each.status for each in refused] == [429, 429]
    assert all(55 <= int(each.headers["Retry-After"]) <= 60 for each in refused)

    wrong = tokens.generate().text
    assert [await each.statuses(2, token=wrong) for each in (one, other, one)] == [[401] * 2, [401] * 2, [429] * 2]


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
async def test_without_redis_each_gateway_counts_alone_and_logs_it(
    start: Start, redis: Redis, fault: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiting, "_REDIS_PAUSE", 1.0)
    running = await start(limits_url=redis.url, requests_per_minute=3)
    assert await running.statuses(1) == [200]

    redis.process.send_signal(fault)
    begun = time.monotonic()
    with capture_logs() as lines:
        assert await running.statuses(5) == [200, 200, 200, 429, 429]
    assert time.monotonic() - begun < 3
    events = [line["event"] for line in lines]
    assert events.count("limits_storage_unavailable") == 1
    assert Redis.password not in repr(lines)

    if fault is signal.SIGSTOP:
        redis.process.send_signal(signal.SIGCONT)
    else:
        redis.process.wait(timeout=10)
        redis.restart()
    await asyncio.sleep(1.1)
    with capture_logs() as lines:
        assert (await running.ask()).status == 200
    assert "limits_shared_again" in [line["event"] for line in lines]


async def test_a_redis_that_was_never_reachable_does_not_block_requests(start: Start) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    running = await start(limits_url=SecretStr(f"redis://127.0.0.1:{port}"), concurrent_reports=1)
    assert await running.statuses(3) == [200, 200, 200]
