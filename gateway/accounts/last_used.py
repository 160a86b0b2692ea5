"""When each token was last used, written to the database in the background."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import structlog
from sqlalchemy import bindparam, or_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.accounts.database import writing
from gateway.accounts.tables import tokens

PERIOD: Final = 60.0
"""Seconds between two writes, and the most by which a stored time can be late."""

_TIMEOUT: Final = 10.0

_UPDATE: Final = (
    update(tokens)
    .where(
        tokens.c.prefix == bindparam("token"),
        # Other processes write too, and may have seen a later use.
        or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < bindparam("used_at")),
    )
    .values(last_used_at=bindparam("used_at"))
)

_log = structlog.get_logger(__name__)


class LastUsed:
    """Collects uses in memory and writes the latest of each token once a minute. A failed write loses these times.

    An async context manager: leaving it writes what has been collected.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._used: dict[str, float] = {}
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write_periodically())
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._writing:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        await self.write()

    def note(self, prefix: str, at: float) -> None:
        """Record that the token was used `at` this time (seconds since 1970)."""
        self._used[prefix] = at

    async def write(self) -> None:
        """Write everything recorded since the last write."""
        used, self._used = self._used, {}
        if not used:
            return
        rows = [{"token": prefix, "used_at": datetime.fromtimestamp(at, UTC)} for prefix, at in sorted(used.items())]
        try:
            async with asyncio.timeout(_TIMEOUT), writing(self._engine).begin() as connection:
                await connection.execute(_UPDATE, rows)
        except Exception as error:  # noqa: BLE001  (no failure of this write may fail a request)
            _log.warning("last_used_not_written", tokens=len(rows), error=type(error).__name__)

    async def _write_periodically(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            await self.write()
