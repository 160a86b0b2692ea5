"""The account database fails under load: what is known serves for some seconds, then reports are refused, clearly."""

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
TIMEOUT = (504, "timeout")
DEADLINE = 1.0
# Promised is a quarter of a second; machines that run tests are busy.
LATE = 1.5
BACK = 15.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSql]:
    with postgresql.running() as server:
        yield server


@fixture(scope="module")
async def way(toxic: Toxiproxy, server: PostgreSql) -> AsyncIterator[Proxy]:
    """Toxiproxy's way to the database."""
    url = URL(server.url("postgres"))
    async with toxic.before(f"{url.host}:{url.port}") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def database(server: PostgreSql, way: Proxy) -> URL:
    return URL(server.url("postgres")).with_port(URL(way.url).port)


@fixture(scope="module")
async def suffer(start: Start, druid: Victim, database: URL) -> AsyncIterator[Suffer]:
    async with start(druid.druid.broker_url, database_url=database) as suffer:
        yield suffer


async def test_a_database_that_refuses(suffer: Suffer, way: Proxy) -> None:
    async with suffer("accounts: refused") as fault, way.refusing():
        await fault.load.until_seen("accounts_unavailable", 4 * CALLERS)
    assert fault.outcome.errors.keys() == {CLOSED}
    assert fault.outcome.recovery < BACK


async def test_a_database_that_swallows_everything(suffer: Suffer, way: Proxy) -> None:
    async with suffer("accounts: swallowed") as fault, way.toxic("timeout", timeout=0):
        await fault.load.until_seen("accounts_unavailable", 2 * CALLERS)
    assert fault.outcome.errors.keys() == {CLOSED}
    assert fault.outcome.recovery < BACK


async def test_a_deadline_counts_for_the_database_too(start: Start, druid: Victim, database: URL, way: Proxy) -> None:
    async with (
        start(druid.druid.broker_url, database_url=database, request_timeout=DEADLINE) as suffer,
        suffer("accounts: swallowed, a deadline of 1 s") as fault,
        way.toxic("timeout", timeout=0),
    ):
        await fault.load.until_seen("timeout", 2 * CALLERS)
    assert fault.outcome.errors.keys() <= {TIMEOUT, CLOSED}
    assert fault.outcome.slowest[TIMEOUT] < DEADLINE + LATE
    assert fault.outcome.recovery < BACK


async def test_a_database_that_is_killed(suffer: Suffer, server: PostgreSql) -> None:
    async with suffer("accounts: PostgreSQL killed") as fault:
        server.signal(signal.SIGKILL)
        await fault.load.until_seen("accounts_unavailable", 4 * CALLERS)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        fault.over()
    assert fault.outcome.errors.keys() == {CLOSED}
    assert fault.outcome.recovery < BACK
