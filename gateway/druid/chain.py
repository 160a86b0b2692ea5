"""What passes along the chain of links between the web layer and Druid, and the interface of a link.

A query enters each link once, in this order; app.py composes them:

    schema       schema_monitor.py   the data set matches Druid's columns
    reuse        reuse.py            answers from memory; lets Druid confirm what it remembers
    coalesce     single_flight.py    one query in Druid for identical requests in flight
    admit        admission.py        waits for a slot
    choose       broker_pool.py      picks a broker; tries another one if there is no response
    completeness completeness/       asks the broker whether it serves all the data that exists
    context      query_context.py    sets query id, timeout, priority, lane and trace parent
    guard        tenant_guard.py     checks the final query and the rows of the response
    send         api/send.py         HTTP

Completeness follows the choice of a broker because it must ask the broker that responds. The guard comes last: it
checks the query after every other link has changed it, serializes it, and is the only code that can create what `send`
accepts.

Each link takes a request of one type and gives the next link a new value, which has what it added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar

from gateway.druid.api.broker import Broker
from gateway.druid.intervals import TimeRange
from gateway.druid.memory_budget import MemoryLease
from gateway.druid.slots import Slot
from gateway.query.compile import DruidQuery


@dataclass(frozen=True, slots=True)
class Known:
    """An earlier response to the same query: Druid confirms it, instead of computing it again, if nothing has changed.

    `version` is Druid's ETag: a hash of the query and of the segments that it reads, all of which are immutable. `body`
    is the response as Druid sent it.
    """

    version: str
    body: bytes | bytearray
    uncovered: tuple[TimeRange, ...] | None


NOTHING_KNOWN: Final = Known("none", b"", None)
"""Makes Druid tell the version of its response: it does so only if it is given one to compare with."""


def with_native(query: DruidQuery, **changes: Any) -> DruidQuery:  # noqa: ANN401 - JSON of any shape
    """Return the query with other values for these keys of its native form."""
    return DruidQuery({**query.native, **changes}, query.tenant, query.dataset, query.columns)


def with_context(query: DruidQuery, **entries: Any) -> DruidQuery:  # noqa: ANN401 - JSON of any shape
    """Return the query with these entries added to its context."""
    return with_native(query, context={**query.native["context"], **entries})


# Named tuples: a frozen dataclass takes four times as long to create, and a query needs a dozen. Each begins with the
# fields of the one before.


class DruidRequest(NamedTuple):
    """A query to run. Druid cancels by `query_id`, so it must be unguessable.

    `deadline` is the event loop's time by which the rows must be there. `heavy` queries have fewer slots, and a lane
    of their own in Druid. A `fresh` request is answered neither from memory nor by a query that already runs.
    """

    query: DruidQuery
    query_id: str
    deadline: float
    heavy: bool
    fresh: bool = False


class KeyedRequest(NamedTuple):
    """A request with the key that identical requests have in common, and what is known of its response.

    If `known` is None, the version of the response does not matter.
    """

    query: DruidQuery
    query_id: str
    deadline: float
    heavy: bool
    fresh: bool
    key: bytes
    known: Known | None


class LeasedRequest(NamedTuple):
    """A request that has a lease for the memory of its response."""

    query: DruidQuery
    query_id: str
    deadline: float
    heavy: bool
    fresh: bool
    key: bytes
    known: Known | None
    lease: MemoryLease


class AdmittedRequest(NamedTuple):
    """A request that has a slot."""

    query: DruidQuery
    query_id: str
    deadline: float
    heavy: bool
    fresh: bool
    key: bytes
    known: Known | None
    lease: MemoryLease
    slot: Slot


class RoutedRequest(NamedTuple):
    """A request for one broker."""

    query: DruidQuery
    query_id: str
    deadline: float
    heavy: bool
    fresh: bool
    key: bytes
    known: Known | None
    lease: MemoryLease
    slot: Slot
    broker: Broker

    def with_native(self, **changes: Any) -> "RoutedRequest":  # noqa: ANN401 - JSON of any shape
        """Return the request with other values for these keys of the native query."""
        return self._replace(query=with_native(self.query, **changes))

    def with_context(self, **entries: Any) -> "RoutedRequest":  # noqa: ANN401 - JSON of any shape
        """Return the request with these entries added to the native query's context."""
        return self._replace(query=with_context(self.query, **entries))


Origin = Literal["memory", "confirmed", "shared", "druid"]
"""Where rows come from: from memory; from memory, confirmed by Druid; from another request's query; from Druid."""


class DruidResponse(NamedTuple):
    """All rows of a response. Coalesced requests share them: do not change them.

    `lease` covers the memory of the rows; the receiver releases it. `query_id` is that of the query in Druid, which may
    be another request's. Times are the event loop's: the rows are those that Druid had at `sent_at` or later, and at
    `received_at` nothing of Druid was awaited any more. `uncovered` is the time that no server had data for; None if
    the broker did not list all of it. `version` identifies the segments that the rows come from (see Known); None if it
    is not known, or if some rows are not in segments yet. `body` is the response as Druid sent it.
    """

    rows: Sequence[Any]
    lease: MemoryLease
    query_id: str
    sent_at: float
    received_at: float
    uncovered: tuple[TimeRange, ...] | None
    version: str | None = None
    body: bytes | bytearray = b""
    origin: Origin = "druid"


RequestT = TypeVar("RequestT", contravariant=True)  # noqa: PLC0105 - read in one place


class Link(Protocol[RequestT]):
    """One step on the way of a query to Druid and of its rows back."""

    async def run(self, request: RequestT, /) -> DruidResponse:
        """Return the response to the request. Raises a GatewayError."""
