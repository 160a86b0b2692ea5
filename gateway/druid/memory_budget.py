"""A budget for the memory of all responses in transit, from Druid's first byte to the last byte sent to the caller.

Responses that are stored for reuse count, too, and are dropped before a response is rejected because it exceeds the
budget. One organization may use half of the budget, except for a single response.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from prometheus_client import Gauge

from gateway.druid.slices import SLICE
from gateway.errors import MemoryExhausted

GROWTH = 6
"""Bytes of memory for each byte that Druid sent, once parsed: usually 5, and 13 if all values are tiny."""


class Reclaimable(Protocol):
    """Holds leases that it can do without."""

    def reclaim(self, organization_id: str | None) -> bool:
        """Release a lease, of this organization if one is given. Return false if there is none."""


class MemoryBudget:
    """`limit` bytes for all leases together. `used` shows how many are in use, including those of what is `stored`."""

    def __init__(self, limit: int, used: Gauge, *stored: Reclaimable) -> None:
        self._limit = limit
        self._stored = stored
        self._used: Counter[str] = Counter()
        self._total = 0
        # Computed when it is read: it changes several times per request.
        used.set_function(lambda: self._total)

    @property
    def used(self) -> int:
        """Bytes in use."""
        return self._total

    def lease(self, organization_id: str) -> "MemoryLease":
        """Return a lease for one response of this organization; it is empty at first."""
        return MemoryLease(_Allocation(self, organization_id))

    def change(self, organization_id: str, before: int, after: int) -> None:
        """Take `after` bytes instead of `before`. Raises MemoryExhausted if there are not as many."""
        growth = after - before
        for _ in self._reclaimed(organization_id, growth, after):
            pass
        self._total += growth
        self._used[organization_id] += growth
        if not self._used[organization_id]:
            del self._used[organization_id]

    async def make_room(self, organization_id: str, before: int, after: int) -> None:
        """Drop as much of what is stored as `change` would. Other tasks run meanwhile: there may be 100,000 entries."""
        with suppress(MemoryExhausted):
            for number, _ in enumerate(self._reclaimed(organization_id, after - before, after), start=1):
                if number % SLICE == 0:
                    await asyncio.sleep(0)

    def _reclaimed(self, organization_id: str, growth: int, after: int) -> Iterator[None]:
        """Release one stored lease per step until there is enough memory. Raises MemoryExhausted if there is none."""
        while growth > 0:
            if self._total + growth > self._limit:
                self._reclaim(None)
            elif after < (theirs := self._used[organization_id] + growth) and theirs > self._limit // 2:
                self._reclaim(organization_id)
            else:
                return
            yield

    def _reclaim(self, organization_id: str | None) -> None:
        if not any(each.reclaim(organization_id) for each in self._stored):
            raise MemoryExhausted("Too many large responses are in transit. Retry later.", headers={"Retry-After": "1"})


class _Allocation:
    """Memory that one or more leases share."""

    __slots__ = ("budget", "holders", "organization_id", "size")

    def __init__(self, budget: MemoryBudget, organization_id: str) -> None:
        self.budget = budget
        self.organization_id = organization_id
        self.size = 0
        self.holders = 0

    def resize(self, size: int) -> None:
        try:
            self.budget.change(self.organization_id, self.size, size)
        except MemoryExhausted:
            # At once: the response ends a moment later, and until then all others that grow would be refused, too.
            self.budget.change(self.organization_id, self.size, 0)
            self.size = 0
            raise
        self.size = size


class MemoryLease:
    """A share in the memory of one response. Released by `release`, as a context manager, or when it is dropped."""

    __slots__ = ("_allocation", "_beside", "_released")

    def __init__(self, allocation: _Allocation) -> None:
        self._allocation = allocation
        self._beside = 0
        self._released = False
        allocation.holders += 1

    @property
    def size(self) -> int:
        """Bytes that this lease covers, which other leases may cover too."""
        return 0 if self._released else self._allocation.size

    def resize(self, size: int) -> None:
        """Cover this many bytes. A share in the memory of others is given up for a lease of its own.

        Raises MemoryExhausted if there are not as many. Once released, it does nothing: it would not be released again.
        """
        if self._released:
            return
        if self._beside:
            self.cover_beside(0)
        if self._allocation.holders > 1:
            own = _Allocation(self._allocation.budget, self._allocation.organization_id)
            own.resize(size)
            self._allocation.holders -= 1
            own.holders = 1
            self._allocation = own
        else:
            self._allocation.resize(size)

    async def grow(self, size: int) -> None:
        """Cover this many bytes, as `resize`. Other tasks run while much of what is stored is dropped for it."""
        allocation = self._allocation
        await allocation.budget.make_room(allocation.organization_id, self.size, size)
        self.resize(size)

    def cover_beside(self, size: int) -> None:
        """Cover so many bytes beside those that it may share with others, until it is resized or released.

        Raises MemoryExhausted if there are not as many.
        """
        if self._released:
            return
        # Both are one response, which alone may have more than half of the budget.
        response = self._allocation.size
        self._allocation.budget.change(self._allocation.organization_id, response + self._beside, response + size)
        self._beside = size

    def share(self) -> "MemoryLease":
        """Return another lease for the same memory, which is free once all of its leases are released."""
        return MemoryLease(self._allocation)

    def release(self) -> None:
        """Give the memory back. Safe to repeat."""
        if not self._released:
            if self._beside:
                self.cover_beside(0)
            self._released = True
            self._allocation.holders -= 1
            if not self._allocation.holders:
                self._allocation.resize(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        # A caller that disconnects at the very moment of its response never receives the lease.
        self.release()
