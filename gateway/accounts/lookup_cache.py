"""A cache for results of a slow source, which loads each key once for all concurrent callers."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Source = Literal["memory", "database", "shared"]
"""Where a result came from: the cache, a new load, or a load that another caller had started."""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    expires: float
    value: V | None


class LookupCache(Generic[K, V]):
    """Keeps each result of `load` for `ttl` seconds, at most `size` of them. None means that the key does not exist.

    - A result's age counts from the start of its load, so no result is used that was true more than `ttl` seconds ago.
    - Concurrent callers share one load. A caller that is cancelled does not cancel it.
    - An exception reaches every caller that waits for it and is not cached.
    - Keys that do not exist have a cache of the same size of their own: invented keys never evict existing ones.

    Not a library's cache: async-lru counts the age from the end of a load and keeps existing and invented keys
    together, and cachetools takes ten times as long to find a result.
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
        self._size: Final = size
        self._count = count
        self._clock = clock
        # In the order in which they were loaded, so that the first ones expire first.
        self._existing: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._absent: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._loading: dict[K, asyncio.Task[V | None]] = {}

    async def get(self, key: K) -> V | None:
        """Return the result for `key`; raise what `load` raises."""
        cached = self._existing.get(key) or self._absent.get(key)
        if cached is not None and self._clock() < cached.expires:
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
        entries = self._absent if value is None else self._existing
        entries[key] = _Entry(expires, value)
        while len(entries) > self._size or (entries and next(iter(entries.values())).expires <= self._clock()):
            entries.popitem(last=False)
        return value

    def _finished(self, key: K, task: asyncio.Task[V | None]) -> None:
        del self._loading[key]
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it if every caller was cancelled
