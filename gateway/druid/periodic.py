"""Work that is done at the start and again and again in the background."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

FIRST_SECONDS: Final = 20.0
"""How long a start waits for work to be done for the first time. After that, it continues in the background."""


class Periodic:
    """Does each `work` now and every `period` seconds. An async context manager: entering it waits for the first times.

    No work may raise an exception.
    """

    def __init__(self, works: Sequence[Callable[[], Awaitable[None]]], *, period: float) -> None:
        self._works = works
        self._period = period

    async def __aenter__(self) -> Self:
        done_once = [asyncio.Event() for _ in self._works]
        self._tasks = [asyncio.create_task(self._repeat(*each)) for each in zip(self._works, done_once, strict=True)]
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_SECONDS):
                    for each in done_once:
                        await each.wait()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _repeat(self, work: Callable[[], Awaitable[None]], done_once: asyncio.Event) -> None:
        while True:
            await work()
            done_once.set()
            await asyncio.sleep(self._period)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
