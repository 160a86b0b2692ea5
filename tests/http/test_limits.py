"""The limits for each caller, over a socket, with counters in memory."""

import asyncio
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.accounts import api_tokens as tokens
from gateway.settings import Settings, SettingsInvalid
from gateway.web import rate_limit as limiting
from gateway.web import rate_limit_storage as counters
from gateway.web.rate_limit import REFUSAL_INTERVAL, REFUSAL_MAX_DELAY, Limiter, RefusalPacer
from gateway.web.rate_limit_storage import MOST_COUNTERS, Counters
from tests.http.limited import Start, limited_gateways
from tests.serving import D, P, T


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    async with limited_gateways(tmp_path) as start:
        yield start


class Clock:
    """The time, which a test can advance."""

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
    """Many addresses guess one token; the token itself keeps working."""
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


async def test_refusals_of_one_caller_are_spaced_out(start: Start) -> None:
    running = await start(requests_per_minute=1)
    assert await running.statuses(1) == [200]
    began = time.monotonic()
    refused = await asyncio.gather(*(running.ask() for _ in range(9)))
    assert [answer.status for answer in refused] == [429] * 9
    assert time.monotonic() - began >= 8 * REFUSAL_INTERVAL


async def test_the_delay_of_a_refusal_is_bounded() -> None:
    refusals, began = RefusalPacer(), time.monotonic()
    await asyncio.gather(*(refusals.wait("one") for _ in range(2_000)))
    assert REFUSAL_MAX_DELAY <= time.monotonic() - began < 2_000 * REFUSAL_INTERVAL / 2


async def test_concurrent_reports_are_limited_per_organization(start: Start) -> None:
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


async def test_a_slot_is_released_after_a_disconnect_and_after_a_failure(start: Start) -> None:
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


async def test_normal_use_reaches_no_limit(start: Start) -> None:
    """A page with many charts is loaded repeatedly, and sometimes the token is mistyped."""
    running = await start()
    for _ in range(10):
        page = await asyncio.gather(*(running.ask() for _ in range(20)))
        assert {answer.status for answer in page} == {200}
        assert await running.statuses(2, token=tokens.generate().text) == [401, 401]


def test_proxies_and_redis_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", "s" * 32)
    monkeypatch.setenv("GATEWAY_COMPLETENESS", "off")
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8")
    monkeypatch.setenv("GATEWAY_LIMITS_URL", "redis://:pw-of-redis@127.0.0.1:6379")
    settings = Settings.from_environment()
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert "pw-of-redis" not in repr(settings)
    monkeypatch.setenv("GATEWAY_LIMITS_URL", "memcached://:password@127.0.0.1")
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", "everyone")
    with pytest.raises(SettingsInvalid) as wrong:
        Settings.from_environment()
    assert "GATEWAY_LIMITS_URL: " in str(wrong.value)
    assert "GATEWAY_TRUSTED_PROXIES: " in str(wrong.value)
    assert "password" not in str(wrong.value)


def test_counters_expire_and_their_number_is_bounded(clock: Clock) -> None:
    storage = Counters()
    assert [storage.count("one", 60).value for _ in range(3)] == [1, 2, 3]
    for number in range(MOST_COUNTERS + 10):
        storage.count(f"other {number}", 60)
    assert len(storage) <= MOST_COUNTERS
    clock.ahead = 61
    assert storage.count("one", 60).value == 1
    for number in range(MOST_COUNTERS):
        storage.count("one", 60)
        storage.drop(f"other {number}")
    assert storage.count("one", 60).value == MOST_COUNTERS + 2


async def test_checking_the_limits_takes_tens_of_microseconds() -> None:
    async with Limiter(
        Settings(token_secret=SecretStr("s" * 32), completeness="off", requests_per_minute=10**9)
    ) as limiter:
        for number in range(50_000):
            await limiter.count_failure(f"192.0.2.{number}", None)
        best = float("inf")
        for _ in range(100):
            # CPU time: other programs on the machine do not count.
            begun = time.thread_time()
            for _ in range(20):
                (await limiter.count_request(D)).headers()
                async with limiter.report_slot(D):
                    pass
            best = min(best, (time.thread_time() - begun) / 20)
    assert best < 100e-6
