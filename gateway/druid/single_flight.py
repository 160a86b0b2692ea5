"""The link that coalesces identical requests in flight: they share one query and its response."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

from prometheus_client import Counter

from gateway.druid.chain import DruidResponse, KeyedRequest, LeasedRequest, Link, Origin
from gateway.druid.memory_budget import MemoryBudget, MemoryLease
from gateway.errors import DeadlineExceeded, GatewayError

_LONG_ENOUGH = 0.9
"""A query in flight is joined if it may take at least this part of the time that the caller would wait."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A query in flight. It owns the lease until it has ended and the last waiting request has its response."""

    task: asyncio.Task[DruidResponse]
    lease: MemoryLease
    deadline: float
    waiting: set[asyncio.Future[None]] = field(default_factory=set)


class Coalesce:
    """Shares queries. An async context manager: it awaits the queries in flight.

    `joined` counts requests that joined the query of another one.
    """

    def __init__(self, budget: MemoryBudget, joined: Counter, next_link: Link[LeasedRequest]) -> None:
        self._budget = budget
        self._joined = joined
        self._next = next_link
        self._flights: dict[bytes, _Flight] = {}
        # Also those that are being cancelled, which no request joins any more.
        self._tasks: set[asyncio.Task[DruidResponse]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def in_flight(self) -> int:
        """Queries that further requests may join."""
        return len(self._flights)

    async def run(self, request: KeyedRequest) -> DruidResponse:
        """Return the response to the request, or to an identical one that was in flight.

        Raises DeadlineExceeded at the request's own deadline, and what the next link raises.
        """
        while True:
            flight = self._to_join(request)
            is_new = flight is None
            if flight is None:
                flight = self._start_flight(request)
            try:
                response = await self._wait(request, flight)
            except DeadlineExceeded:
                # The query that it joined had an earlier deadline. If this request has time left, start over.
                if flight.deadline >= request.deadline or _now() >= request.deadline:
                    raise
            else:
                origin: Origin = response.origin if is_new else "shared"
                return response._replace(lease=response.lease.share(), origin=origin)
            finally:
                self._leave(request.key, flight)
                # An error of the task refers to this frame, and so would to itself.
                del flight

    def _to_join(self, request: KeyedRequest) -> _Flight | None:
        """Return an identical query in flight that the request may wait for."""
        flight = self._flights.get(request.key)
        if flight is None or request.fresh:
            return None
        now = _now()
        if flight.deadline - now < (request.deadline - now) * _LONG_ENOUGH:
            return None
        self._joined.inc()
        return flight

    def _start_flight(self, request: KeyedRequest) -> _Flight:
        lease = self._budget.lease(request.query.tenant.owner_organization_id)
        leased = LeasedRequest(*request, lease=lease)
        flight = self._flights[request.key] = _Flight(asyncio.create_task(self._start(leased)), lease, request.deadline)
        self._tasks.add(flight.task)
        flight.task.add_done_callback(partial(self._land, request.key, flight))
        return flight

    async def _start(self, request: LeasedRequest) -> DruidResponse:
        return await self._next.run(request)

    async def _wait(self, request: KeyedRequest, flight: _Flight) -> DruidResponse:
        """Wait until the query in flight has ended. Raises what it raises, and DeadlineExceeded."""
        loop = asyncio.get_running_loop()
        # Not the task itself, which a cancellation of this request would cancel, too.
        end: asyncio.Future[None] = loop.create_future()
        flight.waiting.add(end)
        expiry = loop.call_at(request.deadline, _expire, end)
        try:
            await end
            return flight.task.result()
        except GatewayError as error:
            # Its traceback refers to the response that was being read, which may be many megabytes long: without it,
            # they are free at once and not when the garbage collector runs.
            raise error.with_traceback(None) from error.__cause__
        finally:
            expiry.cancel()
            flight.waiting.discard(end)
            del flight

    def _leave(self, key: bytes, flight: _Flight) -> None:
        if flight.waiting:
            return
        if flight.task.done():
            flight.lease.release()
        else:
            # At once, so that no request joins a query that is being cancelled.
            self._forget(key, flight)
            flight.task.cancel()

    def _land(self, key: bytes, flight: _Flight, task: asyncio.Task[DruidResponse]) -> None:
        self._tasks.discard(task)
        self._forget(key, flight)
        if not flight.waiting or task.cancelled() or task.exception() is not None:
            flight.lease.release()
        for end in flight.waiting:
            if not end.done():
                end.set_result(None)

    def _forget(self, key: bytes, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


def _expire(end: asyncio.Future[None]) -> None:
    if not end.done():
        end.set_exception(DeadlineExceeded("The report took too long. Choose a shorter interval, or filter more."))


def _now() -> float:
    return asyncio.get_running_loop().time()
