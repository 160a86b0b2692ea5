"""One query for all who ask the same at the same time: whoever comes later waits for the one that runs."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    deadline: float
    waiting: int = 0


class Flights(Generic[T]):
    """Runs that are under way, by a key that says everything about them, the tenant too."""

    def __init__(self) -> None:
        self._flights: dict[bytes, _Flight[T]] = {}
        self.joined = 0
        # Also those that are being cancelled, which nobody can join any more.
        self._tasks: set[asyncio.Task[T]] = set()

    async def join(self, key: bytes, deadline: float, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the run with this key yields, starting one where there is none.

        A run that must end much earlier than this caller's deadline is not joined. A run is cancelled when the last who
        waits for it is, and not before.
        """
        flight = self._flights.get(key)
        now = asyncio.get_running_loop().time()
        if flight is None or flight.deadline - now < (deadline - now) / 2:
            flight = self._flights[key] = _Flight(asyncio.create_task(start()), deadline)
            self._tasks.add(flight.task)
            flight.task.add_done_callback(partial(self._land, key, flight))
        else:
            self.joined += 1
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                # At once, so that nobody joins a run that is being cancelled.
                self._forget(key, flight)
                flight.task.cancel()

    async def ended(self) -> None:
        """Return when no run is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _land(self, key: bytes, flight: _Flight[T], task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        self._forget(key, flight)

    def _forget(self, key: bytes, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
