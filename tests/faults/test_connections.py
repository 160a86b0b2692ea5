"""The connection to the broker fails under load: correct responses or clear errors in bounded time, then recovery."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from tests.faults.conftest import Start, Suffer, fixture
from tests.faults.load import CALLERS
from tests.faults.outcome import RIGHT
from tests.faults.toxiproxy import Proxy

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEADLINE = 3.0
# The objectives are 0.25 s after a deadline and 5 s for recovery. The limits here are larger, because machines that run
# tests are busy. The report of a run has its figures.
LATE = 1.5
BACK = 10.0

Hurt = Callable[[Proxy], AbstractAsyncContextManager[None]]
BROKEN_OFF = (502, "bad_upstream_answer")
UNAVAILABLE = (503, "upstream_unavailable")
TIMEOUT = (504, "timeout")


@fixture(scope="module")
async def suffer(start: Start, broker: Proxy) -> AsyncIterator[Suffer]:
    async with start(broker.url, request_timeout=DEADLINE) as suffer:
        yield suffer


RESET = partial(Proxy.toxic, kind="reset_peer", timeout=0)
SWALLOWED = partial(Proxy.toxic, kind="timeout", timeout=0)
STALLED = partial(Proxy.toxic, kind="slicer", average_size=400, size_variation=0, delay=60_000_000)
CUT = partial(Proxy.toxic, kind="limit_data", bytes=1000)


@pytest.mark.parametrize(
    ("name", "hurt", "errors"),
    [
        # The first error always occurs. The others are of responses in transit, or of later requests.
        ("refused", Proxy.refusing, (UNAVAILABLE, BROKEN_OFF)),
        ("reset before the first byte", RESET, (UNAVAILABLE, BROKEN_OFF)),
        ("swallowed", SWALLOWED, (TIMEOUT, UNAVAILABLE)),
        ("stalled in mid-body", STALLED, (TIMEOUT, UNAVAILABLE)),
        # Small responses arrive completely, until their connection has transferred so many bytes.
        ("cut by closing", CUT, (BROKEN_OFF, UNAVAILABLE)),
    ],
)
async def test_an_error_names_the_failure(
    suffer: Suffer, broker: Proxy, name: str, hurt: Hurt, errors: Sequence[tuple[int, str]]
) -> None:
    async with suffer(name) as fault, hurt(broker):
        # Only queries with a slot see it: once the broker fails its health check, it is excluded.
        await fault.load.until_seen(errors[0][1])
    assert fault.outcome.errors.keys() <= set(errors)
    assert fault.outcome.slowest[errors[0]] < DEADLINE + LATE
    assert fault.outcome.recovery < BACK


@pytest.mark.parametrize(
    ("name", "hurt"),
    [
        ("slow: 300 ms more", lambda broker: broker.toxic("latency", latency=300)),
        ("narrow: 1 MB/s", lambda broker: broker.toxic("bandwidth", rate=1000)),
        (
            "in slices of 100 bytes",
            lambda broker: broker.toxic("slicer", average_size=100, size_variation=10, delay=10),
        ),
    ],
)
async def test_slow_responses_are_correct(suffer: Suffer, broker: Proxy, name: str, hurt: Hurt) -> None:
    async with suffer(name) as fault, hurt(broker):
        await fault.load.until_seen(RIGHT, 2 * CALLERS)
    # The longest reports may reach their deadline.
    assert fault.outcome.errors.keys() <= {TIMEOUT}
    assert fault.outcome.recovery == 0
