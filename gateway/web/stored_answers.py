"""Whole answers that are stored: a repeated request is answered without parsing, compiling or encoding again.

They are as old as the responses of Druid from which they were made, and are served for as long as those would be
(`GATEWAY_REUSE_SECONDS`). After that, the request takes the usual way, on which Druid may confirm its response.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiohttp import web
from prometheus_client import Counter

from gateway.druid.memory_budget import MemoryBudget, MemoryLease
from gateway.druid.stored import Stored
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.tenancy.tenant import Tenant

_LONGEST_BODY: Final = 2_048
"""Bytes of a request's body. Longer reports are rarely repeated, and a key is kept as a whole."""
_LARGEST_ANSWER: Final = 65_536
"""Bytes of an answer. Sending a larger one takes longer than making it."""
_DROPPED_AT_ONCE: Final = 8
_OVERHEAD: Final = 2_048
"""Bytes of an answer's headers and log fields."""


class AnswerKey(NamedTuple):
    """What identical requests have in common; those of two tenants never do.

    The same body can only mean the same compiled queries if nothing in it depends on the time of the request: see
    `is_lasting`.
    """

    data_set: str
    owner_organization_id: str
    involved_organization_id: str | None
    method: str
    format: str
    body: bytes

    @classmethod
    def of(cls, request: web.Request, data_set: str, tenant: Tenant, form: str, body: bytes) -> "AnswerKey":
        """Return the key of a tenant's request."""
        return cls(data_set, tenant.owner_organization_id, tenant.involved_organization_id, request.method, form, body)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteAnswer:
    """A response body, and what the response and its log line have beside it.

    `sent_at` is the event loop's time at which the first of its `queries` was sent.
    """

    body: bytes
    rows: int
    headers: Mapping[str, str]
    etag: str | None
    log_fields: Json
    sent_at: float
    queries: int


class StoredAnswers:
    """Stores answers for `seconds`; none, if that is 0. `from_memory` counts queries that were answered so."""

    def __init__(
        self, seconds: float, stored: Stored[AnswerKey, CompleteAnswer], budget: MemoryBudget, from_memory: Counter
    ) -> None:
        self._seconds = seconds
        self._stored = stored
        self._budget = budget
        self._from_memory = from_memory

    def get(self, key: AnswerKey) -> CompleteAnswer | None:
        """Return the answer to an identical request if it is not too old."""
        answer = self._stored.get(key)
        return answer if answer is not None and self._is_recent(answer) else None

    def lease(self, key: AnswerKey, answer: CompleteAnswer) -> MemoryLease:
        """Count the answer, and return a lease for it: it may be dropped from the store while it is sent.

        Raises MemoryExhausted.
        """
        lease = self._budget.lease(key.owner_organization_id)
        lease.resize(len(answer.body))
        self._from_memory.inc(answer.queries)
        return lease

    def put(self, key: AnswerKey, answer: CompleteAnswer, *, repeated: bool) -> None:
        """Store an answer, unless it is large or a newer one is stored. Old ones make room for it.

        The first answer to a report is not stored, since most are never requested again. It ends an earlier one.
        """
        if not repeated:
            self._stored.drop(key)
            return
        if not self._is_recent(answer) or len(key.body) > _LONGEST_BODY or len(answer.body) > _LARGEST_ANSWER:
            return
        self._drop_old()
        before = self._stored.get(key)
        if before is None or before.sent_at <= answer.sent_at:
            size = _OVERHEAD + len(key.body) + len(answer.body)
            self._stored.put(key, answer, size, key.owner_organization_id, self._budget)

    def _drop_old(self) -> None:
        # A few at a time, but more than are stored: there may be ten thousand.
        for _ in range(_DROPPED_AT_ONCE):
            oldest = self._stored.oldest()
            if oldest is None or self._is_recent(oldest[1]):
                return
            self._stored.drop(oldest[0])

    def _is_recent(self, answer: CompleteAnswer) -> bool:
        return asyncio.get_running_loop().time() - answer.sent_at <= self._seconds and self._seconds > 0


def is_lasting(planned: Plan, now: int) -> bool:
    """Whether the report means the same queries, and has the same warnings, at every later time.

    The groups of `top` are found by a query of their own, whose age a stored answer would not know.
    """
    report, interval = planned.report, planned.interval
    # A comparison with an interval that is not over ends at the last full minute.
    is_over = planned.whole_end <= now and interval.end == planned.whole_end
    is_over &= planned.compared is None or planned.compared.interval.end <= now
    return is_over and not (report.interval.relative or report.freshness or report.top is not None)
