"""What is stored for identical requests, in the order of its last use, within a memory budget."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.druid.memory_budget import MemoryBudget, MemoryLease
from gateway.druid.slices import SLICE
from gateway.errors import MemoryExhausted

_OVERHEAD = 1_024
"""Bytes that an entry takes beside what it stores."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    value: V
    organization_id: str
    lease: MemoryLease


class Stored(Generic[K, V]):
    """Stores values in up to `limit` bytes, none in more than an eighth of that."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        # The keys of each organization in the same order.
        self._keys_of: dict[str, OrderedDict[K, None]] = {}
        self.size = 0
        """Bytes in use."""

    def get(self, key: K) -> V | None:
        """Return the value with this key, if there is one."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        self._keys_of[entry.organization_id].move_to_end(key)
        return entry.value

    def oldest(self) -> tuple[K, V] | None:
        """Return the value that was not used for the longest time, with its key."""
        return next(((key, entry.value) for key, entry in self._entries.items()), None)

    async def make_room(self, key: K, size: int, organization_id: str, budget: MemoryBudget) -> None:
        """Drop old values, so that `put` of a large one has nothing more to drop. Other tasks run meanwhile."""
        size += _OVERHEAD
        if size > self._limit // 8:
            return
        await budget.make_room(organization_id, 0, size)
        dropped = 0
        while self.size + size - self._size_of(key) > self._limit and self.reclaim(None):
            dropped += 1
            if dropped % SLICE == 0:
                await asyncio.sleep(0)

    def put(self, key: K, value: V, size: int, organization_id: str, budget: MemoryBudget) -> None:
        """Store a value of this many bytes if its memory, and others' that are dropped for it, suffices."""
        size += _OVERHEAD
        if size > self._limit // 8:
            return
        lease = budget.lease(organization_id)
        try:
            lease.resize(size)
        except MemoryExhausted:
            return
        self.drop(key)
        self._entries[key] = _Entry(value, organization_id, lease)
        self._keys_of.setdefault(organization_id, OrderedDict())[key] = None
        self.size += size
        while self.size > self._limit:
            self.reclaim(None)

    def _size_of(self, key: K) -> int:
        entry = self._entries.get(key)
        return 0 if entry is None else entry.lease.size

    def drop(self, key: K) -> None:
        """Remove the value with this key, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        keys = self._keys_of[entry.organization_id]
        del keys[key]
        if not keys:
            del self._keys_of[entry.organization_id]
        self.size -= entry.lease.size
        entry.lease.release()

    def reclaim(self, organization_id: str | None) -> bool:
        """Drop the value that was not used for the longest time, of this organization if one is given.

        Return false if there is none.
        """
        keys: Iterable[K] = self._entries if organization_id is None else self._keys_of.get(organization_id, ())
        oldest = next(iter(keys), None)
        if oldest is None:
            return False
        self.drop(oldest)
        return True
