"""What passes along the chain of links between the web layer and Druid, and the interface of a link.

A query enters each link once, in this order; app.py composes them:

    schema       schema_monitor.py   the data set matches Druid's columns
    coalesce     single_flight.py    one query in Druid for identical requests in flight
    admit        admission.py        waits for a slot; sets lane and priority
    choose       broker_pool.py      picks a broker; tries another one if there is no response
    completeness completeness/       asks the broker whether it serves all the data that exists
    context      query_context.py    sets query id, timeout and trace parent
    guard        tenant_guard.py     checks the final query and the rows of the response
    send         api/send.py         HTTP

Completeness follows the choice of a broker because it must ask the broker that responds. The guard comes last: it
checks the query after every other link has changed it, serializes it, and is the only code that can create what `send`
accepts.

Each link takes a request of one type and gives the next link a new value, which has what it added.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

from gateway.druid.api.broker import Broker
from gateway.druid.intervals import TimeRange
from gateway.druid.memory_budget import MemoryLease
from gateway.druid.slots import Slot
from gateway.query.compile import DruidQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class DruidRequest:
    """A query to run. Druid cancels by `query_id`, so it must be unguessable.

    `deadline` is the event loop's time by which the rows must be there. `heavy` queries have fewer slots, and a lane
    of their own in Druid.
    """

    query: DruidQuery
    query_id: str
    deadline: float
    heavy: bool

    def with_native(self, **changes: Any) -> Self:  # noqa: ANN401 - JSON of any shape
        """Return the request with other values for these keys of the native query."""
        return replace(self, query=replace(self.query, native={**self.query.native, **changes}))

    def with_context(self, **entries: Any) -> Self:  # noqa: ANN401 - JSON of any shape
        """Return the request with these entries added to the native query's context."""
        return self.with_native(context={**self.query.native["context"], **entries})


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedRequest(DruidRequest):
    """A request that has a lease for the memory of its response."""

    lease: MemoryLease


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedRequest(LeasedRequest):
    """A request that has a slot."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedRequest(AdmittedRequest):
    """A request for one broker."""

    broker: Broker


@dataclass(frozen=True, slots=True)
class DruidResponse:
    """All rows of a response. Coalesced requests share them: do not change them.

    `lease` covers the memory of the rows; the receiver releases it. `query_id` is that of the query in Druid, which may
    be another request's. `received_at` is the event loop's time at which nothing of Druid was awaited any more.
    `uncovered` is the time that no server had data for; None if the broker did not list all of it.
    """

    rows: Sequence[Any]
    lease: MemoryLease
    query_id: str
    received_at: float
    uncovered: tuple[TimeRange, ...] | None


RequestT = TypeVar("RequestT", contravariant=True)  # noqa: PLC0105 - read in one place


class Link(Protocol[RequestT]):
    """One step on the way of a query to Druid and of its rows back."""

    async def run(self, request: RequestT, /) -> DruidResponse:
        """Return the response to the request. Raises a GatewayError."""
