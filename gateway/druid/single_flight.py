"""The link that coalesces identical requests in flight: they share one query and its response."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

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
    waiting: int = 0


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
        try:
            async with asyncio.timeout_at(request.deadline):
                while True:
                    deadline, response = self._join(request)
                    try:
                        return await response
                    except DeadlineExceeded:
                        # The query that it joined had an earlier deadline. This request has time left: start over.
                        if deadline >= request.deadline:
                            raise
        except TimeoutError as error:
            raise DeadlineExceeded("The report took too long. Choose a shorter interval, or filter more.") from error

    def _join(self, request: KeyedRequest) -> tuple[float, Coroutine[Any, Any, DruidResponse]]:
        """Return the deadline of a query in flight and its future response."""
        flight, now = self._flights.get(request.key), asyncio.get_running_loop().time()
        if (
            flight is not None
            and not request.fresh
            and flight.deadline - now >= (request.deadline - now) * _LONG_ENOUGH
        ):
            self._joined.inc()
            return flight.deadline, self._wait(request.key, flight, joined=True)
        flight = self._start_flight(request)
        return flight.deadline, self._wait(request.key, flight, joined=False)

    def _start_flight(self, request: KeyedRequest) -> _Flight:
        lease = self._budget.lease(request.query.tenant.owner_organization_id)
        leased = LeasedRequest(*request, lease=lease)
        flight = self._flights[request.key] = _Flight(asyncio.create_task(self._start(leased)), lease, request.deadline)
        self._tasks.add(flight.task)
        flight.task.add_done_callback(partial(self._land, request.key, flight))
        return flight

    async def _start(self, request: LeasedRequest) -> DruidResponse:
        return await self._next.run(request)

    async def _wait(self, key: bytes, flight: _Flight, *, joined: bool) -> DruidResponse:
        flight.waiting += 1
        try:
            response = await asyncio.shield(flight.task)
            origin: Origin = "shared" if joined else response.origin
            return response._replace(lease=response.lease.share(), origin=origin)
        except GatewayError as error:
            # Its traceback refers to the response that was being read, which may be many megabytes long: without it,
            # they are free at once and not when the garbage collector runs.
            raise error.with_traceback(None) from error.__cause__
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                if flight.task.done():
                    flight.lease.release()
                else:
                    # At once, so that no request joins a query that is being cancelled.
                    self._forget(key, flight)
                    flight.task.cancel()
            # The task's error refers to this frame, and so would to itself.
            del flight

    def _land(self, key: bytes, flight: _Flight, task: asyncio.Task[DruidResponse]) -> None:
        self._tasks.discard(task)
        self._forget(key, flight)
        if not flight.waiting or task.cancelled() or task.exception() is not None:
            flight.lease.release()

    def _forget(self, key: bytes, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
