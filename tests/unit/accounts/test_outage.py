"""A PostgreSQL that is down, frozen, restarted or rejects the password."""

import asyncio
import signal
import threading
import time
from typing import Protocol

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts
from gateway.errors import AccountsUnavailable
from tests.http.stand_in import silent

SECRET = SecretStr("s" * 32)


class Server(Protocol):
    """The PostgreSQL of conftest.py."""

    def url(self, database: str) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def signal(self, number: signal.Signals) -> None: ...


def _settings(url: str) -> AccountSettings:
    return AccountSettings(database_url=SecretStr(url), token_secret=SECRET)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hidden@127.0.0.1:1/x", "sqlite:////nowhere/at/all.db"],
    ids=["nothing listens", "no such folder"],
)
async def test_an_unreachable_database_causes_503_and_a_clear_sentence(url: str) -> None:
    before = threading.active_count()
    async with Accounts(_settings(url)) as accounts:
        with pytest.raises(AccountsUnavailable) as refused:
            await accounts.token("abcdefgh")
        assert "127.0.0.1" not in refused.value.detail
        with pytest.raises(DatabaseNotReady) as not_ready:
            await accounts.check_schema()
        assert "hidden" not in str(not_ready.value)
    assert threading.active_count() == before


async def test_a_wrong_password_causes_503_and_a_clear_sentence(postgresql_url: str) -> None:
    wrong = postgresql_url.replace(postgresql_url.split(":")[2].split("@", maxsplit=1)[0], "not-the-password")
    async with Accounts(_settings(wrong)) as accounts:
        with capture_logs() as logs, pytest.raises(AccountsUnavailable):
            await accounts.token("abcdefgh")
        assert [entry["event"] for entry in logs] == ["accounts_unavailable"]
        assert "not-the-password" not in repr(logs)
        with pytest.raises(DatabaseNotReady, match="password authentication failed") as not_ready:
            await accounts.check_schema()
        assert "not-the-password" not in str(not_ready.value)


async def test_a_frozen_database_causes_503_in_time_and_recovers(postgresql: Server, postgresql_url: str) -> None:
    async with Accounts(_settings(postgresql_url)) as accounts:
        await accounts.migrate()
        assert await accounts.token("aaaaaaaa") is None
        postgresql.signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            with pytest.raises(AccountsUnavailable):
                await accounts.token("bbbbbbbb")
            assert time.monotonic() - begun < 5
            begun = time.monotonic()
            assert not await accounts.is_ready()
            assert time.monotonic() - begun < 5
        finally:
            postgresql.signal(signal.SIGCONT)
        assert await accounts.is_ready()
        assert await accounts.token("bbbbbbbb") is None


async def test_a_database_that_never_answers_is_not_ready() -> None:
    with silent() as server:
        url = f"postgresql://u:hidden@127.0.0.1:{server.getsockname()[1]}/x"
        async with asyncio.timeout(5), Accounts(_settings(url)) as accounts:
            assert not await accounts.is_ready()


async def test_a_restarted_database_causes_no_error(own_postgresql: Server) -> None:
    async with Accounts(_settings(own_postgresql.url("postgres"))) as accounts:
        await accounts.migrate()
        assert await accounts.token("aaaaaaaa") is None
        own_postgresql.stop()
        with pytest.raises(AccountsUnavailable):
            await accounts.token("bbbbbbbb")
        own_postgresql.start()
        assert await accounts.token("bbbbbbbb") is None
