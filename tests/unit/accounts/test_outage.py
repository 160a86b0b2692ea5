"""A PostgreSQL that is gone, frozen, restarted or not ours."""

import asyncio
import signal
import threading
import time
from typing import Protocol

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import AccessSettings
from gateway.accounts.store import Accounts
from gateway.errors import AccountsUnavailable

SECRET = SecretStr("s" * 32)


class Server(Protocol):
    """The PostgreSQL of conftest.py."""

    def url(self, database: str) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def signal(self, number: signal.Signals) -> None: ...


def _settings(url: str) -> AccessSettings:
    return AccessSettings(database_url=SecretStr(url), token_secret=SECRET)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hidden@127.0.0.1:1/x", "sqlite:////nowhere/at/all.db"],
    ids=["nothing listens", "no such folder"],
)
async def test_an_unreachable_database_is_503_and_a_clear_sentence(url: str) -> None:
    before = set(threading.enumerate())
    async with Accounts(_settings(url)) as accounts:
        with pytest.raises(AccountsUnavailable) as refused:
            await accounts.token("abcdefgh")
        assert "127.0.0.1" not in refused.value.detail
        with pytest.raises(DatabaseNotReady) as not_ready:
            await accounts.check_schema()
        assert "hidden" not in str(not_ready.value)
    # A connection that SQLite refused ends in its own thread, and a little later: it must find this event loop.
    async with asyncio.timeout(10):
        while any("_connection_worker_thread" in each.name for each in {*threading.enumerate()} - before):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_wrong_password_is_503_and_a_clear_sentence(postgresql_url: str) -> None:
    wrong = postgresql_url.replace(postgresql_url.split(":")[2].split("@", maxsplit=1)[0], "not-the-password")
    async with Accounts(_settings(wrong)) as accounts:
        with capture_logs() as logs, pytest.raises(AccountsUnavailable):
            await accounts.token("abcdefgh")
        assert [entry["event"] for entry in logs] == ["accounts_unavailable"]
        assert "not-the-password" not in repr(logs)
        with pytest.raises(DatabaseNotReady, match="password authentication failed") as not_ready:
            await accounts.check_schema()
        assert "not-the-password" not in str(not_ready.value)


async def test_a_frozen_database_is_503_soon_and_works_again_when_it_thaws(
    postgresql: Server, postgresql_url: str
) -> None:
    async with Accounts(_settings(postgresql_url)) as accounts:
        await accounts.migrate()
        assert await accounts.token("aaaaaaaa") is None
        postgresql.signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            with pytest.raises(AccountsUnavailable):
                await accounts.token("bbbbbbbb")
            assert time.monotonic() - begun < 5
        finally:
            postgresql.signal(signal.SIGCONT)
        assert await accounts.token("bbbbbbbb") is None


async def test_a_restarted_database_is_no_error(own_postgresql: Server) -> None:
    async with Accounts(_settings(own_postgresql.url("postgres"))) as accounts:
        await accounts.migrate()
        assert await accounts.token("aaaaaaaa") is None
        own_postgresql.stop()
        with pytest.raises(AccountsUnavailable):
            await accounts.token("bbbbbbbb")
        own_postgresql.start()
        assert await accounts.token("bbbbbbbb") is None
