"""A Druid for fault injection, Toxiproxy in front of it, and gateways, in one shared event loop."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest
import pytest_asyncio

from druid.errors import ClusterError
from tests.faults import between, figures, served, toxiproxy, trial, victim
from tests.faults.between import Between
from tests.faults.figures import Figures
from tests.faults.load import known
from tests.faults.toxiproxy import Proxy, Toxiproxy, ToxiproxyError
from tests.faults.trial import Fault
from tests.faults.victim import Victim

ORGANIZATIONS = 4
"""Number of organizations with callers."""
Suffer = Callable[[str], AbstractAsyncContextManager[Fault]]
Start = Callable[..., AbstractAsyncContextManager[Suffer]]
fixture = partial(pytest_asyncio.fixture, loop_scope="session")


@fixture(scope="package")
async def druid() -> AsyncIterator[Victim]:
    try:
        async with victim.running() as running:
            yield running
    except ClusterError as error:
        pytest.exit(f"Druid did not start. {error}", returncode=2)


@fixture(scope="package")
async def toxic() -> AsyncIterator[Toxiproxy]:
    try:
        async with toxiproxy.running() as running:
            yield running
    except ToxiproxyError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture(scope="package")
def measured() -> Iterator[list[Figures]]:
    """The figures of all faults, written at the end."""
    rows: list[Figures] = []
    yield rows
    figures.write(rows)


@pytest.fixture(scope="package")
def start(druid: Victim, measured: list[Figures], tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a gateway for a broker's URL, in which faults are measured. Keywords are settings."""

    @asynccontextmanager
    async def start(broker_url: str, **settings: object) -> AsyncIterator[Suffer]:
        given = {
            "druid_broker_url": broker_url,
            "druid_coordinator_url": druid.druid.coordinator_url,
            "coverage_period": 0.5,
            # Every report is to meet the fault.
            "reuse_seconds": 0,
            **settings,
        }
        await druid.is_settled()
        folder = tmp_path_factory.mktemp("gateway")
        async with served.serving(folder, druid.organizations[:ORGANIZATIONS], **given) as gateway:
            questions = await known(gateway.url, gateway.tokens)

            @asynccontextmanager
            async def suffer(name: str) -> AsyncIterator[Fault]:
                async with trial.fault(name, gateway, questions, druid) as fault:
                    yield fault
                measured.append(Figures.of(fault))
                assert not fault.load.wrong

            yield suffer

    return start


@fixture(scope="package")
async def broker(toxic: Toxiproxy, druid: Victim) -> AsyncIterator[Proxy]:
    """Toxiproxy's route to the broker."""
    async with toxic.before(f"127.0.0.1:{druid.druid.ports.broker}") as proxy:
        yield proxy


@fixture(scope="package")
async def spoiler(druid: Victim) -> AsyncIterator[Between]:
    """A route to the broker on which responses can be replaced."""
    async with between.before(druid.druid.broker_url) as spoiler:
        yield spoiler
