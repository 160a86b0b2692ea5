"""The account database fails under load: cached accounts work for some seconds, then reports get a clear error."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from yarl import URL

from tests import postgresql
from tests.faults.conftest import Start, Suffer, fixture
from tests.faults.load import CALLERS
from tests.faults.toxiproxy import Proxy, Toxiproxy
from tests.faults.victim import Victim
from tests.postgresql import PostgreSql

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLOSED = (503, "accounts_unavailable")
BACK = 15.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSql]:
    with postgresql.running() as server:
        yield server


@fixture(scope="module")
async def way(toxic: Toxiproxy, server: PostgreSql) -> AsyncIterator[Proxy]:
    """Toxiproxy's route to the database."""
    url = URL(server.url("postgres"))
    async with toxic.before(f"{url.host}:{url.port}") as proxy:
        yield proxy


@fixture(scope="module")
async def suffer(start: Start, druid: Victim, server: PostgreSql, way: Proxy) -> AsyncIterator[Suffer]:
    database = URL(server.url("postgres")).with_port(URL(way.url).port)
    async with start(druid.druid.broker_url, database_url=database) as suffer:
        yield suffer


async def test_a_database_that_refuses_connections(suffer: Suffer, way: Proxy) -> None:
    async with suffer("accounts: refused") as fault, way.refusing():
        await fault.load.until_seen("accounts_unavailable", 4 * CALLERS)
    assert fault.outcome.errors.keys() == {CLOSED}
    assert fault.outcome.recovery < BACK


async def test_a_database_that_does_not_respond(suffer: Suffer, way: Proxy) -> None:
    async with suffer("accounts: swallowed") as fault, way.toxic("timeout", timeout=0):
        await fault.load.until_seen("accounts_unavailable", 2 * CALLERS)
    assert fault.outcome.errors.keys() == {CLOSED}
    assert fault.outcome.recovery < BACK


async def test_a_killed_database(suffer: Suffer, server: PostgreSql) -> None:
    async with suffer("accounts: PostgreSQL killed") as fault:
        server.signal(signal.SIGKILL)
        await fault.load.until_seen("accounts_unavailable", 4 * CALLERS)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        fault.over()
    assert fault.outcome.errors.keys() == {CLOSED}
    assert fault.outcome.recovery < BACK
