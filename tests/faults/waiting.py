"""Waiting for what is to come about."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE = 240.0
"""Seconds for what takes some on a machine that has nothing else to do."""


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = PATIENCE) -> None:
    """Wait until it is true. Raises TimeoutError where that takes longer."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.02)
