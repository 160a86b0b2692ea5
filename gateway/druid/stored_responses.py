"""Responses of Druid that are stored for identical queries, in the order of their last use.

They are stored as Druid sent them. Parsed rows would take six times the memory, and the garbage collector would visit
each of them. So every request gets rows of its own.
"""

from collections import OrderedDict
from dataclasses import dataclass

from prometheus_client import Gauge

from gateway.druid.chain import DruidResponse, Known
from gateway.druid.memory_budget import MemoryBudget, MemoryLease
from gateway.errors import MemoryExhausted

_OVERHEAD = 1_024
"""Bytes that an entry takes beside its key and its body."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response of Druid: the data of `sent_at` (the event loop's time), read by the query `query_id`.

    `known` is what Druid can confirm; None if it cannot.
    """

    body: bytes | bytearray
    query_id: str
    sent_at: float
    known: Known | None
    organization_id: str
    lease: MemoryLease


class StoredResponses:
    """Stores responses in up to `limit` bytes, none in more than an eighth of that. `size` shows the bytes in use."""

    def __init__(self, limit: int, size: Gauge) -> None:
        self._limit = limit
        self._size = 0
        # Computed when it is read: it changes twice per request.
        size.set_function(lambda: self._size)
        self._entries: OrderedDict[bytes, StoredResponse] = OrderedDict()

    def get(self, key: bytes) -> StoredResponse | None:
        """Return the response to the query with this key, if there is one."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, organization_id: str, response: DruidResponse, budget: MemoryBudget) -> None:
        """Store a response if its memory, and others' that are dropped for it, suffices."""
        size = _OVERHEAD + len(key) + len(response.body)
        if size > self._limit // 8:
            return
        lease = budget.lease(organization_id)
        try:
            lease.resize(size)
        except MemoryExhausted:
            return
        known = None if response.version is None else Known(response.version, response.body, response.uncovered)
        self.drop(key)
        self._entries[key] = StoredResponse(
            response.body, response.query_id, response.sent_at, known, organization_id, lease
        )
        self._size += size
        while self._size > self._limit:
            self.reclaim(None)

    def drop(self, key: bytes) -> None:
        """Remove the response to the query with this key, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.lease.size
            entry.lease.release()

    def reclaim(self, organization_id: str | None) -> bool:
        """Drop the response that was not used for the longest time, of this organization if one is given.

        Return false if there is none.
        """
        for key, entry in self._entries.items():
            if organization_id in (None, entry.organization_id):
                self.drop(key)
                return True
        return False
