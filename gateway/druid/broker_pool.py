"""Several brokers as one: a failing one is left out, and asked in the background until it answers again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

import structlog

from gateway.druid.api.broker import Broker, NoAnswer, Reply
from gateway.druid.memory_budget import Room
from gateway.errors import RETRY_SOON, DeadlineExceeded, DruidUnavailable
from gateway.query.literals import Json

log = structlog.get_logger(__name__)

PROBE_FIRST = 0.1
"""Seconds until the first look at a broker that failed: it may have been one connection that broke."""
PROBE_EVERY = 1.0
"""Seconds between two looks at it from then on."""


class Brokers:
    """The brokers in turn, as long as they answer. An async context manager around each of them."""

    def __init__(self, brokers: Sequence[Broker]) -> None:
        self._brokers = tuple(brokers)
        # In the order in which they are asked; each that was asked goes to the end.
        self._answering = list(brokers)
        self._probes: dict[Broker, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for broker in self._brokers:
                await stack.enter_async_context(broker)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for probe in self._probes.values():
            probe.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._probes.values(), return_exceptions=True)
        await self._open.aclose()

    @property
    def states(self) -> dict[Broker, bool]:
        """Whether each broker answers."""
        return {broker: broker in self._answering for broker in self._brokers}

    async def ask(
        self, native: Json, query_id: str, deadline: float, room: Room, before: Callable[[Broker], Awaitable[None]]
    ) -> tuple[Reply, Broker]:
        """Return the answer of the next broker, and which it was; one that gives none at all is tried once elsewhere.

        `before` has a look at a broker that is about to be asked.

        Raises DruidUnavailable at once where none is known to answer, and whatever Broker.ask raises.
        """
        for _ in range(2):
            if not self._answering:
                break
            broker = self._answering.pop(0)
            self._answering.append(broker)
            try:
                await before(broker)
                return await broker.ask(native, query_id, deadline, room), broker
            except NoAnswer:
                self._leave_out(broker)
                self._look_after(broker)
            except (DeadlineExceeded, asyncio.CancelledError):
                # A long query, or a broker that is frozen: an easy question tells.
                self._look_after(broker)
                raise
        raise DruidUnavailable("The database cannot be reached.", headers=RETRY_SOON)

    def cancellations(self, query_id: str) -> list[asyncio.Task[None]]:
        """Return what is under way to end this query in Druid."""
        return [task for broker in self._brokers for task in broker.cancellations(query_id)]

    async def is_healthy(self) -> bool:
        """Whether some broker answers now."""
        return any(await asyncio.gather(*(broker.is_healthy() for broker in self._brokers)))

    def _leave_out(self, broker: Broker) -> None:
        if broker in self._answering:
            self._answering.remove(broker)
            log.warning("broker_left_out", broker=broker.name, others=len(self._answering))

    def _look_after(self, broker: Broker) -> None:
        probe = self._probes.get(broker)
        if probe is None or probe.done():
            self._probes[broker] = asyncio.create_task(self._probe(broker))

    async def _probe(self, broker: Broker) -> None:
        """Leave the broker out for as long as it says that it cannot answer, or nothing."""
        await asyncio.sleep(PROBE_FIRST)
        while not await broker.is_healthy():
            self._leave_out(broker)
            await asyncio.sleep(PROBE_EVERY)
        if broker not in self._answering:
            self._answering.append(broker)
            log.info("broker_back", broker=broker.name)
