"""When each token was last used, written behind the requests' backs."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import bindparam, or_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.accounts.database import writing
from gateway.accounts.tables import tokens

EVERY: Final = 60.0
"""Seconds between two writes, and so the most that a token's time is behind."""

_PATIENCE: Final = 10.0

_LATER: Final = (
    update(tokens)
    .where(
        tokens.c.prefix == bindparam("token"),
        # Other processes write too, and theirs may be later.
        or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < bindparam("used_at")),
    )
    .values(last_used_at=bindparam("used_at"))
)

_log = structlog.stdlib.get_logger(__name__)


class LastUsed:
    """Collects uses in memory and writes each token's latest once a minute. A failure costs only these times."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._used: dict[str, float] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, prefix: str, at: float) -> None:
        """The token was used `at` (seconds since 1970)."""
        self._used[prefix] = at

    def start(self) -> None:
        """Write from now on."""
        self._writing = asyncio.create_task(self._write_for_ever())

    async def stop(self) -> None:
        """Write what is left, and no more after that."""
        if self._writing:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        await self.write()

    async def write(self) -> None:
        """Write all that was noted since the last time."""
        used, self._used = self._used, {}
        if not used:
            return
        rows = [{"token": prefix, "used_at": datetime.fromtimestamp(at, UTC)} for prefix, at in sorted(used.items())]
        try:
            async with asyncio.timeout(_PATIENCE), writing(self._engine).begin() as connection:
                await connection.execute(_LATER, rows)
        except Exception as failure:  # noqa: BLE001  (whatever it is, no request may fail for it)
            _log.warning("last_used_not_written", tokens=len(rows), failure=type(failure).__name__)

    async def _write_for_ever(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.write()
