"""A cache for results of a slow source, which loads each key once for all concurrent callers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from cachetools import TLRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Source = Literal["memory", "database", "shared"]
"""Where a result came from: the cache, a new load, or a load that another caller had started."""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    expires: float
    value: V | None


def _expiry(_key: Hashable, entry: _Entry[V], _now: float) -> float:
    return entry.expires


class LookupCache(Generic[K, V]):
    """Keeps each result of `load` for `ttl` seconds, at most `size` of them. None means that the key does not exist.

    - A result's age counts from the start of its load, so no result is used that was true more than `ttl` seconds ago.
    - Concurrent callers share one load. A caller that is cancelled does not cancel it.
    - An exception reaches every caller that waits for it and is not cached.
    - Keys that do not exist have a cache of the same size of their own: invented keys never evict existing ones.

    cachetools stores and evicts. The shared load is our own code, because async-lru counts the age from the end of a
    load and keeps existing and invented keys together.
    """

    def __init__(
        self,
        load: Callable[[K], Awaitable[V | None]],
        *,
        ttl: float,
        size: int,
        count: Callable[[Source], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._ttl: Final = ttl
        self._count = count
        self._clock = clock
        self._existing: TLRUCache[K, _Entry[V]] = TLRUCache(size, ttu=_expiry, timer=clock)
        self._absent: TLRUCache[K, _Entry[V]] = TLRUCache(size, ttu=_expiry, timer=clock)
        self._loading: dict[K, asyncio.Task[V | None]] = {}

    async def get(self, key: K) -> V | None:
        """Return the result for `key`; raise what `load` raises."""
        cached = self._existing.get(key) or self._absent.get(key)
        if cached is not None:
            self._count("memory")
            return cached.value
        loading = self._loading.get(key)
        self._count("database" if loading is None else "shared")
        if loading is None:
            loading = self._loading[key] = asyncio.create_task(self._fill(key, self._clock() + self._ttl))
            loading.add_done_callback(lambda task: self._finished(key, task))
        return await asyncio.shield(loading)

    async def _fill(self, key: K, expires: float) -> V | None:
        value = await self._load(key)
        self._existing.pop(key, None)
        self._absent.pop(key, None)
        (self._absent if value is None else self._existing)[key] = _Entry(expires, value)
        return value

    def _finished(self, key: K, task: asyncio.Task[V | None]) -> None:
        del self._loading[key]
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it if every caller was cancelled
