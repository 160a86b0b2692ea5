"""Slots: how many queries Druid runs at once, and which organization is next.

A free slot goes to the organization with the fewest running queries, so an organization that floods the gateway waits
for itself. An organization may use half of the slots, or a quarter while others are active, so that another one that
becomes active finds a free slot. A query that was abandoned keeps its slot until Druid has ended it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from prometheus_client import Gauge, Histogram

from gateway.errors import DeadlineExceeded, QueueFull
from gateway.telemetry.instruments import timed
from gateway.telemetry.tracing import stage

_RETRY = {"Retry-After": "1"}
_CANCEL_SECONDS = 2.0
"""The longest time for which a query that is being cancelled keeps its slot."""
_ACTIVE_SECONDS = 10.0
"""An organization counts as active for this time after its last query."""


@dataclass(frozen=True, slots=True)
class LaneInstruments:
    """Instruments for the queries of a lane: how many have a slot, how many wait for one, and how long they waited."""

    lane: str
    running: Gauge
    queued: Gauge
    waits: Histogram


class Slot:
    """The right to have one query in Druid. `others`: the organization's other running queries when it was granted."""

    __slots__ = ("cancellations", "others")

    def __init__(self, others: int, cancellations: set[asyncio.Task[None]]) -> None:
        self.others = others
        self.cancellations = cancellations

    def release_after(self, cancellation: Coroutine[Any, Any, None]) -> None:
        """Start the cancellation of this slot's query; the slot is released after it has ended, or after a bound."""
        self.cancellations.add(asyncio.create_task(cancellation))


class Slots:
    """`slots` for running queries, and a queue of `queue` more.

    An async context manager: leaving it awaits the cancellations of queries for as long as they would keep their slots.
    """

    def __init__(self, *, slots: int, queue: int, instruments: LaneInstruments) -> None:
        self._slots = slots
        self._share_alone = max(1, slots // 2)
        self._share = max(1, slots // 4)
        self._queue = queue
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        # When each active organization last began or ended a query, in the event loop's time; the latest last.
        self._active: dict[str, float] = {}
        self._cancellations: set[asyncio.Task[None]] = set()
        self._releases: set[asyncio.Task[None]] = set()
        self._instruments = instruments
        instruments.running.labels(instruments.lane).set_function(lambda: self.running)
        instruments.queued.labels(instruments.lane).set_function(lambda: self.queued)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._releases:
            # Each of them waits for a bounded time.
            await asyncio.wait(self._releases)
        late = list(self._cancellations)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    @property
    def running(self) -> int:
        """Queries that have a slot."""
        return self._running.total()

    @property
    def queued(self) -> int:
        """Queries that wait for a slot."""
        return sum(len(waiting) for waiting in self._waiting.values())

    @property
    def cancelling(self) -> int:
        """Abandoned queries that are being cancelled."""
        return len(self._cancellations)

    def acquire(self, organization_id: str, deadline: float) -> "Acquisition":
        """Wait for a slot until the deadline, and release it after the `async with` block and its cancellations.

        Raises QueueFull if too many queries wait already, DeadlineExceeded if no slot became free in time.
        """
        return Acquisition(self, organization_id, deadline)

    async def take(self, organization_id: str, deadline: float) -> Slot:
        """Wait for a slot; see acquire."""
        self._note_activity(organization_id)
        # If others have become inactive, those that wait may have more slots now.
        self._grant()
        with timed(self._instruments.waits, self._instruments.lane, success="admitted"):
            if self._may_run(organization_id):
                self._running[organization_id] += 1
            else:
                await self._wait(organization_id, deadline)
        return Slot(self._running[organization_id] - 1, set())

    def give_back(self, organization_id: str, cancellations: set[asyncio.Task[None]]) -> None:
        """Release a slot, after the cancellations of its query if there are any."""
        if cancellations:
            self._start(self._release_after(organization_id, cancellations), self._releases)
        else:
            self._release(organization_id)

    def _start(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _release_after(self, organization_id: str, cancellations: set[asyncio.Task[None]]) -> None:
        self._cancellations |= cancellations
        for task in cancellations:
            task.add_done_callback(self._cancellations.discard)
        try:
            await asyncio.wait(cancellations, timeout=_CANCEL_SECONDS)
        finally:
            self._release(organization_id)

    def _release(self, organization_id: str) -> None:
        self._note_activity(organization_id)
        self._running[organization_id] -= 1
        if not self._running[organization_id]:
            del self._running[organization_id]
        self._grant()

    def _may_run(self, organization_id: str) -> bool:
        others_are_active = len(self._active) > (organization_id in self._active)
        share = self._share if others_are_active else self._share_alone
        return self.running < self._slots and self._running[organization_id] < share

    def _note_activity(self, organization_id: str) -> None:
        """Note that the organization is active, and drop inactive ones."""
        now = asyncio.get_running_loop().time()
        self._active.pop(organization_id, None)
        self._active[organization_id] = now
        while now - self._active[oldest := next(iter(self._active))] > _ACTIVE_SECONDS:
            del self._active[oldest]
            if oldest in self._running or oldest in self._waiting:
                self._active[oldest] = now

    async def _wait(self, organization_id: str, deadline: float) -> None:
        if self.queued >= self._queue or len(self._waiting.get(organization_id, ())) >= self._queue // 2:
            raise QueueFull("Too many reports are waiting. Retry later.", headers=_RETRY)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(organization_id, deque()).append(turn)
        try:
            with stage("wait for a slot"):
                async with asyncio.timeout_at(deadline):
                    await turn
        except BaseException as error:
            if turn.cancelled():
                self._leave_queue(organization_id, turn)
            else:
                # The slot was granted at the same moment: pass it on.
                self._release(organization_id)
            if isinstance(error, TimeoutError):
                raise DeadlineExceeded("The report waited too long for its turn. Retry later.") from error
            raise

    def _leave_queue(self, organization_id: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(organization_id, deque())
        # _grant may have removed it already.
        if turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[organization_id]

    def _grant(self) -> None:
        """Grant free slots, each to the organization with the fewest running queries that has waited longest."""
        while able := [each for each in self._waiting if self._may_run(each)]:
            organization_id = min(able, key=lambda each: self._running[each])
            waiting = self._waiting.pop(organization_id)
            turn = waiting.popleft()
            if waiting:
                # Behind the others: equals take turns.
                self._waiting[organization_id] = waiting
            # Skip a request that is being cancelled.
            if not turn.done():
                self._running[organization_id] += 1
                turn.set_result(None)


class Acquisition:
    """An async context manager that has a slot; its value is the slot."""

    __slots__ = ("_deadline", "_organization_id", "_slot", "_slots")

    def __init__(self, slots: Slots, organization_id: str, deadline: float) -> None:
        self._slots = slots
        self._organization_id = organization_id
        self._deadline = deadline

    async def __aenter__(self) -> Slot:
        self._slot = await self._slots.take(self._organization_id, self._deadline)
        return self._slot

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._slots.give_back(self._organization_id, self._slot.cancellations)
