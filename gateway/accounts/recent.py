"""Answers of a slow source, kept for a few seconds."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from gateway.telemetry.durations import Durations

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Asks `load` at most once per key and `ttl` seconds, however many callers want to know at the same time.

    An answer's age counts from when it was asked for, so none is used that was true more than `ttl` seconds ago.
    A failure is not kept: the next caller asks again. At most `size` answers are kept, and as many keys without
    one: keys that strangers invent push out each other, never the answers of those who are known.
    """

    def __init__(
        self,
        load: Callable[[K], Awaitable[V | None]],
        *,
        ttl: float,
        size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._ttl = ttl
        self._size = size
        self._clock = clock
        self._found: dict[K, tuple[float, V]] = {}
        self._absent: dict[K, tuple[float, None]] = {}
        self._asking: dict[K, asyncio.Task[V | None]] = {}
        self.lookups: Counter[str] = Counter()
        self.loads = Durations()

    async def get(self, key: K) -> V | None:
        """What `load` says of `key`; raises what it raises."""
        kept = self._found.get(key) or self._absent.get(key)
        if kept is not None and self._clock() < kept[0]:
            self.lookups["memory"] += 1
            return kept[1]
        asking = self._asking.get(key)
        self.lookups["database" if asking is None else "shared"] += 1
        if asking is None:
            asking = asyncio.create_task(self._ask(key, self._clock() + self._ttl))
            self._asking[key] = asking
            asking.add_done_callback(lambda task: self._forget(key, task))
        # Shielded: a caller who goes away must not take the answer from the others who wait for it.
        return await asyncio.shield(asking)

    async def _ask(self, key: K, until: float) -> V | None:
        with self.loads.timing("found") as timing:
            value = await self._load(key)
            if value is None:
                timing.outcome = "absent"
        self._found.pop(key, None)
        self._absent.pop(key, None)
        if value is None:
            self._absent[key] = (until, None)
        else:
            self._found[key] = (until, value)
        for kept in (self._found, self._absent):
            if len(kept) > self._size:
                del kept[next(iter(kept))]  # the oldest: dicts keep the order in which they were filled
        return value

    def _forget(self, key: K, task: asyncio.Task[V | None]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # looked at here, so that asyncio does not complain when every caller has gone
