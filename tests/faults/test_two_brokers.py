"""One of two brokers fails under load: the other one answers."""

from collections.abc import AsyncIterator

import pytest

from tests.faults.conftest import Start, Suffer, fixture
from tests.faults.load import CALLERS
from tests.faults.outcome import RIGHT
from tests.faults.toxiproxy import Proxy, Toxiproxy
from tests.faults.victim import Victim

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEADLINE = 3.0


@fixture(scope="module")
async def other(toxic: Toxiproxy, druid: Victim) -> AsyncIterator[Proxy]:
    """A second way to the same broker: to the gateway it is another one."""
    async with toxic.before(f"127.0.0.1:{druid.druid.ports.broker}") as proxy:
        yield proxy


@fixture(scope="module")
async def suffer(start: Start, broker: Proxy, other: Proxy) -> AsyncIterator[Suffer]:
    async with start(f"{broker.url},{other.url}", request_timeout=DEADLINE) as suffer:
        yield suffer


async def test_when_one_refuses_nobody_notices(suffer: Suffer, other: Proxy) -> None:
    async with suffer("one of two brokers: refused") as fault, other.refusing():
        await fault.load.until_seen(RIGHT, 4 * CALLERS)
    # What broke off in mid-body is no question of who else could have answered it.
    assert fault.outcome.errors.keys() <= {(502, "bad_upstream_answer")}
    assert fault.outcome.recovery == 0


async def test_when_one_swallows_everything_it_is_left_out_after_a_deadline(suffer: Suffer, other: Proxy) -> None:
    async with suffer("one of two brokers: swallowed") as fault, other.toxic("timeout", timeout=0):
        await fault.load.until_seen("timeout")
        await fault.load.until_right()
    assert fault.outcome.errors.keys() <= {(504, "timeout")}
    assert fault.outcome.recovery == 0
