"""Measures how long an event loop was busy without a pause."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import thread_time

_TICK = 0.001


@dataclass(slots=True)
class Stalls:
    """`longest` is the most CPU time, in seconds, that the loop's thread used between two ticks of a timer.

    CPU time: what other programs on the machine do is not counted.
    """

    longest: float = 0.0


@asynccontextmanager
async def measured_stalls() -> AsyncIterator[Stalls]:
    """Measure the running event loop, which must be that of the gateway and of nothing that is busy itself.

    As the command after its start, it keeps the garbage collector from what exists: the tests' heap is large.
    """
    stalls = Stalls()
    gc.collect()
    gc.freeze()

    async def tick() -> None:
        last = thread_time()
        while True:
            await asyncio.sleep(_TICK)
            now = thread_time()
            stalls.longest = max(stalls.longest, now - last)
            last = now

    ticking = asyncio.create_task(tick())
    try:
        # It begins before, and ends after, what is measured.
        await asyncio.sleep(0)
        yield stalls
        await asyncio.sleep(2 * _TICK)
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        gc.unfreeze()
