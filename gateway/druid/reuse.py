"""The link that reuses responses: identical queries of one tenant are answered from memory.

A response is served again for `seconds` from the moment at which its query was sent. After that, Druid is asked for it
again, with the ETag of the stored response in `If-None-Match`. Druid plans the query, and if it would read the same
segments, it responds with 304 at once: segments never change, so neither has the response. The request passes all other
links, so completeness is checked as for any other. Druid gives no ETag where a streaming task has some of the rows.

Druid's ETag works without any of its caches (https://druid.apache.org/docs/33.0.0/querying/using-caching describes it
for the result-level cache): the request only has to contain `If-None-Match`.

Responses are stored as Druid sent them. Parsed rows would take six times the memory, and the garbage collector would
visit each of them. So every request gets rows of its own.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import get_args

import orjson
from prometheus_client import Counter

from gateway.druid.chain import NOTHING_KNOWN, DruidRequest, DruidResponse, KeyedRequest, Known, Link, Origin
from gateway.druid.memory_budget import GROWTH, MemoryBudget
from gateway.druid.row_parser import parse_rows
from gateway.druid.stored import Stored

_DROP_EVERY = 0.05
"""Seconds between two times at which responses are dropped."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response of Druid: the data of `sent_at` (the event loop's time), read by the query `query_id`.

    `known` is what Druid can confirm; None if it cannot.
    """

    body: bytes | bytearray
    query_id: str
    sent_at: float
    known: Known | None


class Reuse:
    """Answers from memory for `seconds`; never, if that is 0. `outcomes` counts where responses came from."""

    def __init__(
        self,
        seconds: float,
        stored: Stored[bytes, StoredResponse],
        budget: MemoryBudget,
        outcomes: Counter,
        next_link: Link[KeyedRequest],
    ) -> None:
        self._seconds = seconds
        self._stored = stored
        self._budget = budget
        self._outcomes = {origin: outcomes.labels(origin) for origin in get_args(Origin)}
        self._next = next_link
        # When responses that Druid cannot confirm expire, in the event loop's time, and their keys.
        self._expiring: deque[tuple[float, bytes]] = deque()

    async def run(self, request: DruidRequest) -> DruidResponse:
        """Raises MemoryExhausted, and what the next link raises."""
        key = key_of(request)
        stored = None if request.fresh else self._stored.get(key)
        if stored is not None and self._age(stored.sent_at) <= self._seconds:
            response = await self._from_memory(request, stored)
        else:
            response = await self._from_druid(request, key, stored)
        self._outcomes[response.origin].inc()
        return response

    async def _from_memory(self, request: DruidRequest, stored: StoredResponse) -> DruidResponse:
        lease = self._budget.lease(request.query.tenant.owner_organization_id)
        await lease.grow(GROWTH * len(stored.body))
        rows = await parse_rows(stored.body)
        version, uncovered = (stored.known.version, stored.known.uncovered) if stored.known else (None, None)
        return DruidResponse(
            rows, lease, stored.query_id, stored.sent_at, stored.sent_at, uncovered, version, origin="memory"
        )

    async def _from_druid(self, request: DruidRequest, key: bytes, stored: StoredResponse | None) -> DruidResponse:
        response = await self._next.run(KeyedRequest(*request, key=key, known=self._known(key, stored)))
        if self._seconds and response.origin != "shared":
            await self._store(request, key, response)
        # The rows stay in memory until the caller has them, and the body does only if it is stored.
        return response._replace(body=b"")

    def _known(self, key: bytes, stored: StoredResponse | None) -> Known | None:
        if not self._seconds or b"lookup" in key:
            # A lookup may change on one of Druid's servers before it does on the broker, which makes the ETag.
            return None
        return stored.known if stored and stored.known else NOTHING_KNOWN

    async def _store(self, request: DruidRequest, key: bytes, response: DruidResponse) -> None:
        organization_id, size = request.query.tenant.owner_organization_id, len(key) + len(response.body)
        if response.version is not None or self._age(response.sent_at) < self._seconds:
            await self._stored.make_room(key, size, organization_id, self._budget)
        # A newer response may have been stored meanwhile.
        before = self._stored.get(key)
        if before is not None and before.sent_at > response.sent_at:
            return
        left = self._seconds - self._age(response.sent_at)
        if response.version is None and left <= 0:
            self._stored.drop(key)
            return
        known = None if response.version is None else Known(response.version, response.body, response.uncovered)
        value = StoredResponse(response.body, response.query_id, response.sent_at, known)
        self._stored.put(key, value, size, organization_id, self._budget)
        if response.version is None:
            self._expiring.append((response.sent_at + self._seconds, key))
            if len(self._expiring) == 1:
                asyncio.get_running_loop().call_later(left, self._drop_expired)

    def _drop_expired(self) -> None:
        """Drop the responses that Druid cannot confirm and that are too old, together to save timers."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._expiring and self._expiring[0][0] <= now:
            key = self._expiring.popleft()[1]
            stored = self._stored.get(key)
            if stored is not None and stored.known is None and stored.sent_at + self._seconds <= now:
                self._stored.drop(key)
        if self._expiring:
            loop.call_at(max(self._expiring[0][0], now + _DROP_EVERY), self._drop_expired)

    @staticmethod
    def _age(moment: float) -> float:
        return asyncio.get_running_loop().time() - moment


def key_of(request: DruidRequest) -> bytes:
    """Return what identical requests have in common; requests of two tenants never do."""
    tenant = request.query.tenant
    return orjson.dumps(
        [tenant.owner_organization_id, tenant.involved_organization_id, request.heavy, request.query.native]
    )
