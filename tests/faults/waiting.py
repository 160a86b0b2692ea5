"""Waiting for a condition."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE = 240.0
"""Seconds. On an idle machine, a few are enough."""


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = PATIENCE) -> None:
    """Wait until the condition is true. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)
