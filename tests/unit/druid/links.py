"""Requests for a link of the chain, and a fake of the link after it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeVar

from gateway.druid.api.broker import Broker
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.chain import (
    AdmittedRequest,
    DruidRequest,
    DruidResponse,
    KeyedRequest,
    Known,
    LeasedRequest,
    RoutedRequest,
)
from gateway.druid.intervals import TimeRange
from gateway.druid.memory_budget import MemoryBudget, MemoryLease
from gateway.druid.reuse import key_of
from gateway.druid.slots import LaneInstruments, Slot, Slots
from gateway.druid.stored import Stored
from gateway.query.compile import DruidQuery, compile_time_range
from gateway.telemetry.instruments import Instruments
from gateway.tenancy.tenant import Tenant
from tests.datasets import DATASETS
from tests.tenants import PARTNER, tenant_of

T = TypeVar("T")
INSTRUMENTS = Instruments()
DATASET = DATASETS["chat_sessions"]
TENANT, OTHER_TENANT = tenant_of(), tenant_of(PARTNER)
QUERY = compile_time_range(TENANT, DATASET)
NOWHERE = ServiceUrl("http://127.0.0.1:1")


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


def query(tenant: Tenant = TENANT, **changes: Any) -> DruidQuery:
    return DruidQuery({**compile_time_range(tenant, DATASET).native, **changes}, tenant, DATASET)


def budget(limit: int = 1 << 30) -> MemoryBudget:
    return MemoryBudget(limit, INSTRUMENTS.answers_bytes)


def fill_with_small_entries(stored: Stored[Any, Any], memory: MemoryBudget) -> None:
    """Store entries of several organizations, as large as those of short responses, until older ones are dropped."""
    for number in count():
        before = stored.size
        stored.put(object(), b"[]", 50, f"organization {number % 8}", memory)
        if stored.size == before:
            return


def new_slots(slots: int, queue: int) -> Slots:
    i = INSTRUMENTS
    return Slots(
        slots=slots,
        queue=queue,
        instruments=LaneInstruments("ordinary", i.druid_queries_running, i.druid_queries_queued, i.druid_wait_seconds),
    )


def requested(
    query: DruidQuery = QUERY, *, seconds: float = 5.0, heavy: bool = False, fresh: bool = False
) -> DruidRequest:
    return DruidRequest(query=query, query_id="id", deadline=soon(seconds), heavy=heavy, fresh=fresh)


def keyed(request: DruidRequest, known: Known | None = None) -> KeyedRequest:
    return KeyedRequest(*request, key=key_of(request), known=known)


def leased(request: DruidRequest, lease: MemoryLease | None = None, known: Known | None = None) -> LeasedRequest:
    has_key = keyed(request, known)
    return LeasedRequest(*has_key, lease=lease or budget().lease("a"))


def admitted(request: DruidRequest, others: int = 0, known: Known | None = None) -> AdmittedRequest:
    has_lease = leased(request, known=known)
    return AdmittedRequest(*has_lease, slot=Slot(others, set()))


def routed(
    request: DruidRequest, broker: Broker | None = None, known: Known | None = None, others: int = 0
) -> RoutedRequest:
    has_slot = admitted(request, others, known)
    return RoutedRequest(*has_slot, broker=broker or Broker(NOWHERE))


def responded(
    rows: list[Any],
    lease: MemoryLease | None = None,
    uncovered: tuple[TimeRange, ...] | None = (),
    **given: Any,
) -> DruidResponse:
    return DruidResponse(rows, lease or budget().lease("a"), "id", soon(0), soon(0), uncovered, **given)


@dataclass(slots=True)
class NextLink(Generic[T]):
    """Records the requests that it gets, and responds as told."""

    respond: Callable[[T], Awaitable[DruidResponse]]
    requests: list[T] = field(default_factory=list)

    async def run(self, request: T) -> DruidResponse:
        self.requests.append(request)
        return await self.respond(request)


def responding(*rows: Any, uncovered: tuple[TimeRange, ...] | None = ()) -> NextLink[Any]:
    """A link that always gives this response."""

    async def respond(request: Any) -> DruidResponse:
        return responded(list(rows), request.lease, uncovered)

    return NextLink(respond)


def failing(*errors: BaseException) -> NextLink[Any]:
    """A link that fails with each of the errors, and responds afterwards."""
    left = list(errors)

    async def respond(request: Any) -> DruidResponse:
        if left:
            raise left.pop(0)
        return responded([1], request.lease)

    return NextLink(respond)
