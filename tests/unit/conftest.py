"""SQLite and a real PostgreSQL: the account database is tested on both."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
from pydantic import SecretStr

from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts
from tests import postgresql as server
from tests.postgresql import PostgreSql


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    with server.running() as running:
        yield running


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSql]:
    """A server that a test can stop and start."""
    with server.running() as running:
        yield running


@pytest.fixture
async def postgresql_url(postgresql: PostgreSql) -> str:
    """A new, empty database."""
    database = f"accounts_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgresql.url("postgres"))
    await connection.execute(f"CREATE DATABASE {database}")
    await connection.close()
    return postgresql.url(database)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, one of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/accounts.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def settings(database_url: str) -> AccountSettings:
    return AccountSettings(database_url=SecretStr(database_url), token_secret=SecretStr(secrets.token_hex(32)))


@pytest.fixture
async def accounts(settings: AccountSettings) -> AsyncIterator[Accounts]:
    async with Accounts(settings) as accounts:
        await accounts.migrate()
        yield accounts
