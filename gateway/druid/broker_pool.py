"""Several brokers as one: they are asked in turn, and one that fails its health check is left out until it passes."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Self

import structlog
from prometheus_client import Gauge

from gateway.druid.api.broker import Broker, NoAnswer
from gateway.druid.chain import AdmittedRequest, DruidResponse, Link, RoutedRequest
from gateway.errors import RETRY_SOON, DeadlineExceeded, DruidUnavailable

_log = structlog.get_logger(__name__)

PROBE_FIRST = 0.1
"""Seconds until the first health check of a broker that gave no response: it may have been a single connection."""
PROBE_EVERY = 1.0
"""Seconds between two health checks of a broker that failed one."""


class Brokers:
    """The brokers of one cluster, and which of them answer. An async context manager: it opens and checks them.

    `up` shows which answer.
    """

    def __init__(self, brokers: Sequence[Broker], up: Gauge) -> None:
        self._brokers = tuple(brokers)
        # In the order in which they are asked; one that was asked moves to the end.
        self._answering = list(brokers)
        # Those that gave no response, until their health check: used only if there is no other.
        self._suspected: set[Broker] = set()
        self._probes: dict[Broker, asyncio.Task[None]] = {}
        for broker in brokers:
            up.labels(broker.name).set_function(partial(self._answering.__contains__, broker))

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for broker in self._brokers:
                await stack.enter_async_context(broker)
            stack.push_async_callback(self._stop_probes)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    def __iter__(self) -> Iterator[Broker]:
        return iter(self._brokers)

    @property
    def answering(self) -> tuple[Broker, ...]:
        """The brokers that have not failed their last health check."""
        return tuple(broker for broker in self._brokers if broker in self._answering)

    def choose(self, tried: Collection[Broker]) -> Broker | None:
        """Return the next broker that was not tried, or None."""
        able = [broker for broker in self._answering if broker not in tried]
        if not able:
            return None
        broker = next((broker for broker in able if broker not in self._suspected), able[0])
        self._answering.remove(broker)
        self._answering.append(broker)
        return broker

    def suspect(self, broker: Broker) -> None:
        """Prefer others to a broker that gave no response, and check its health soon."""
        self._suspected.add(broker)
        self.check_soon(broker)

    def check_soon(self, broker: Broker) -> None:
        """Check a broker's health in the background; leave it out for as long as the check fails."""
        probe = self._probes.get(broker)
        if probe is None or probe.done():
            self._probes[broker] = asyncio.create_task(self._probe(broker))

    async def is_healthy(self) -> bool:
        """Whether any broker answers now."""
        return any(await asyncio.gather(*(broker.is_healthy() for broker in self._brokers)))

    async def _probe(self, broker: Broker) -> None:
        await asyncio.sleep(PROBE_FIRST)
        while not await broker.is_healthy():
            if broker in self._answering:
                self._answering.remove(broker)
                _log.warning("broker_excluded", broker=broker.name, others=len(self._answering))
            await asyncio.sleep(PROBE_EVERY)
        self._suspected.discard(broker)
        if broker not in self._answering:
            self._answering.append(broker)
            _log.info("broker_included_again", broker=broker.name)

    async def _stop_probes(self) -> None:
        for probe in self._probes.values():
            probe.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._probes.values(), return_exceptions=True)


class ChooseBroker:
    """Sends each query to the next broker, and to one other if that one gives no response."""

    def __init__(self, brokers: Brokers, next_link: Link[RoutedRequest]) -> None:
        self._brokers = brokers
        self._next = next_link

    async def run(self, request: AdmittedRequest) -> DruidResponse:
        """Raises DruidUnavailable if no broker responds, and what the next link raises."""
        tried: list[Broker] = []
        while len(tried) < 2 and (broker := self._brokers.choose(tried)):
            tried.append(broker)
            try:
                return await self._next.run(RoutedRequest(*request, broker=broker))
            except NoAnswer:
                self._brokers.suspect(broker)
                # The first broker may have the query after all, and is asked to cancel it, which Druid does by id.
                request = request._replace(query_id=f"{request.query_id}-2")
            except (DeadlineExceeded, asyncio.CancelledError):
                # The query is long, or the broker is frozen: a health check tells which.
                self._brokers.check_soon(broker)
                raise
        raise DruidUnavailable("The database cannot be reached.", headers=RETRY_SOON)
