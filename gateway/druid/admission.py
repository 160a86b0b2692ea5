"""How many queries Druid gets at once, and whose is next: a bounded number, a short queue, a fair turn for everyone.

An organization that floods the gateway waits behind itself: a place that becomes free goes to the organization that has
the fewest queries running, and none has more than half of the places, or a quarter while others are about. So there is
a place for who comes next, and Druid is not busy with the others' queries when it does. A query that nobody waits for
any more has its place until Druid has ended it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.errors import DeadlineExceeded, QueueFull
from gateway.telemetry.durations import Durations
from gateway.telemetry.tracing import stage

_RETRY = {"Retry-After": "1"}
_ENDING = 2.0
"""The most seconds for which a query that is being cancelled keeps its place."""
_ABOUT = 10.0
"""Seconds after an organization's last query in which another one of it is to be expected."""


@dataclass(slots=True)
class Place:
    """What a query holds: `others` the organization had at the time. `ends` must end before it is free again."""

    others: int
    ends: Collection[asyncio.Task[None]] = ()


class Admission:
    """Places for `places` queries at once, and for `queue` more that wait."""

    def __init__(self, *, places: int, queue: int) -> None:
        self._places = places
        self._share_alone = max(1, places // 2)
        self._share = max(1, places // 4)
        self._queue = queue
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        # When each organization that is about began or ended its last query, the event loop's time; the latest last.
        self._about: dict[str, float] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.waits = Durations()

    @property
    def running(self) -> int:
        """Queries that have a place."""
        return self._running.total()

    @property
    def queued(self) -> int:
        """Queries that wait for one."""
        return sum(len(waiting) for waiting in self._waiting.values())

    @asynccontextmanager
    async def place(self, organization_id: str, deadline: float) -> AsyncIterator[Place]:
        """Hold a place for as long as a query runs, having waited for it until the deadline at most.

        Raises QueueFull where too many wait already, DeadlineExceeded where none became free in time.
        """
        self._note(organization_id)
        # Where others have gone meanwhile, those who wait may have more places now.
        self._admit()
        with self.waits.timing("admitted"):
            if not self._has_room(organization_id):
                await self._wait(organization_id, deadline)
            else:
                self._running[organization_id] += 1
        place = Place(self._running[organization_id] - 1)
        try:
            yield place
        finally:
            if place.ends:
                ending = asyncio.create_task(self._end(organization_id, place.ends))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
            else:
                self._give_up(organization_id)

    async def _end(self, organization_id: str, ends: Collection[asyncio.Task[None]]) -> None:
        try:
            await asyncio.wait(ends, timeout=_ENDING)
        finally:
            self._give_up(organization_id)

    def _give_up(self, organization_id: str) -> None:
        self._note(organization_id)
        self._running[organization_id] -= 1
        if not self._running[organization_id]:
            del self._running[organization_id]
        self._admit()

    def _has_room(self, organization_id: str) -> bool:
        others_are_about = len(self._about) > (organization_id in self._about)
        share = self._share if others_are_about else self._share_alone
        return self.running < self._places and self._running[organization_id] < share

    def _note(self, organization_id: str) -> None:
        """Note that the organization is about, and forget those that are no more."""
        now = asyncio.get_running_loop().time()
        self._about.pop(organization_id, None)
        self._about[organization_id] = now
        while now - self._about[oldest := next(iter(self._about))] > _ABOUT:
            del self._about[oldest]
            if oldest in self._running or oldest in self._waiting:
                self._about[oldest] = now

    async def _wait(self, organization_id: str, deadline: float) -> None:
        if self.queued >= self._queue or len(self._waiting.get(organization_id, ())) >= self._queue // 2:
            raise QueueFull("Too many reports are waiting. Ask again later.", headers=_RETRY)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(organization_id, deque()).append(turn)
        try:
            with stage("wait for a place"):
                async with asyncio.timeout_at(deadline):
                    await turn
        except BaseException as error:
            if turn.cancelled():
                self._leave(organization_id, turn)
            else:
                # The place came at the same moment: it goes on to the next.
                self._give_up(organization_id)
            if isinstance(error, TimeoutError):
                raise DeadlineExceeded("The report waited too long for its turn. Ask again later.") from error
            raise

    def _leave(self, organization_id: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(organization_id, deque())
        # Whoever gave places away meanwhile has passed it over.
        if turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[organization_id]

    def _admit(self) -> None:
        """Give free places away, each to the organization with the fewest running, which has waited longest."""
        while able := [each for each in self._waiting if self._has_room(each)]:
            organization_id = min(able, key=lambda each: self._running[each])
            waiting = self._waiting.pop(organization_id)
            turn = waiting.popleft()
            if waiting:
                # Behind the others: among equals the turn goes round.
                self._waiting[organization_id] = waiting
            # One who is just leaving is passed over.
            if not turn.done():
                self._running[organization_id] += 1
                turn.set_result(None)
