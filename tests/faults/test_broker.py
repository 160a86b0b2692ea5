"""The way to the broker fails under load: right answers or clear errors in bounded time, and then all is well again."""

import pytest

from tests.faults.conftest import Gateway
from tests.faults.toxiproxy import Proxy

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_broker_that_refuses(gateway: Gateway, broker: Proxy) -> None:
    async with gateway(broker.url) as suffer, suffer("refused") as fault, broker.refusing():
        await fault.load.until_seen("upstream_unavailable", 100)
    assert fault.outcome.errors.keys() <= {(503, "upstream_unavailable"), (502, "bad_upstream_answer")}
    # A tenth of a second is promised, and five for being back; machines that run tests are busy.
    assert fault.outcome.slowest[503, "upstream_unavailable"] < 1
    assert fault.outcome.recovery < 5
