"""One of two brokers fails under load, and the other one answers."""

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
    """A second route to the same broker, which is a different broker for the gateway."""
    async with toxic.before(f"127.0.0.1:{druid.druid.ports.broker}") as proxy:
        yield proxy


@fixture(scope="module")
async def suffer(start: Start, broker: Proxy, other: Proxy) -> AsyncIterator[Suffer]:
    async with start(f"{broker.url},{other.url}", request_timeout=DEADLINE) as suffer:
        yield suffer


async def test_callers_do_not_notice_when_one_broker_refuses_connections(suffer: Suffer, other: Proxy) -> None:
    async with suffer("one of two brokers: refused") as fault, other.refusing():
        await fault.load.until_seen(RIGHT, 4 * CALLERS)
    # A response that was interrupted in the middle is not retried on the other broker.
    assert fault.outcome.errors.keys() <= {(502, "bad_upstream_answer")}
    assert fault.outcome.recovery == 0


async def test_a_broker_that_does_not_respond_is_excluded_after_a_deadline(suffer: Suffer, other: Proxy) -> None:
    async with suffer("one of two brokers: swallowed") as fault, other.toxic("timeout", timeout=0):
        await fault.load.until_seen("timeout")
        await fault.load.until_right()
    assert fault.outcome.errors.keys() <= {(504, "timeout")}
    assert fault.outcome.recovery == 0
