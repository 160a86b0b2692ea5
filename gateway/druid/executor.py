"""Druid as the pipeline sees it: a compiled query goes in, its rows come out, whole and the tenant's own, or an error.

On the way a query is checked for its tenant, shared with whoever asks the very same at the time, given a place among
those that run, sent to a broker, and its answer checked for holes and for foreign rows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import orjson
import structlog

from gateway.druid.admission import Admission
from gateway.druid.api.broker import Broker, NoAnswer, Reply
from gateway.druid.broker_pool import Brokers
from gateway.druid.completeness.appended_segments import Appended
from gateway.druid.completeness.availability import Coverage
from gateway.druid.completeness.realtime_monitor import Realtime
from gateway.druid.memory_budget import Memory
from gateway.druid.single_flight import Flights
from gateway.druid.stretches import NEVER, Stretch, complement, parse_stretch
from gateway.druid.tenant_guard import TenancyViolated, check_query, check_rows
from gateway.errors import RETRY_SOON, DataUnavailable, DeadlineExceeded, InternalError, InvalidDruidResponse
from gateway.query.compile import DruidQuery
from gateway.query.literals import Json

log = structlog.get_logger(__name__)

# As many as Druid's header takes; where there are more gaps, the broker is asked what it serves, and then once more.
_UNCOVERED = 100


@dataclass(frozen=True, slots=True)
class Druid:
    """What is needed to ask: the brokers, what data there is (None: nobody knows), and places to run in."""

    brokers: Brokers
    coverage: Coverage | None
    appended: Appended | None
    realtime: Realtime | None
    places: Admission
    heavy_places: Admission
    flights: Flights[Reply]
    memory: Memory

    async def is_ready(self) -> bool:
        """Whether some broker answers, and it is known what data there is."""
        return (self.coverage is None or self.coverage.is_complete()) and await self.brokers.is_healthy()

    async def run(self, query: DruidQuery, query_id: str, deadline: float, *, heavy: bool = False) -> Reply:
        """Return the query's whole answer; nobody may change its rows, since others may have them too.

        `query_id` must be one that nobody can guess, since Druid cancels by it. `deadline` is the event loop's time by
        which the rows must be there. `heavy` queries have fewer places, and a lane of their own in Druid.

        Raises InternalError, QueueFull, DruidBusy, ReportTooLarge, InvalidDruidResponse, DruidUnavailable,
        DataUnavailable or DeadlineExceeded.
        """
        try:
            check_query(query)
        except TenancyViolated as error:
            raise _stopped(error, query_id) from error
        native = self._native(query, heavy=heavy)
        try:
            async with asyncio.timeout_at(deadline):
                return await self.flights.join(
                    orjson.dumps(native), deadline, lambda: self._fly(query, native, query_id, deadline, heavy=heavy)
                )
        except TimeoutError as error:
            raise DeadlineExceeded("The report took too long. Ask for a shorter interval, or filter more.") from error

    def _native(self, query: DruidQuery, *, heavy: bool) -> Json:
        """Return the query as it is sent: in its lane, and told to say which time nobody serves."""
        context = {**query.native["context"], **({"lane": "heavy", "priority": -10} if heavy else {})}
        if self.coverage is None:
            return {**query.native, "context": context}
        intervals = ["/".join(NEVER.iso()), query.native["intervals"]]
        return {**query.native, "intervals": intervals, "context": {**context, "uncoveredIntervalsLimit": _UNCOVERED}}

    async def _fly(self, query: DruidQuery, native: Json, query_id: str, deadline: float, *, heavy: bool) -> Reply:
        organization = query.tenant.owner_organization_id
        places = self.heavy_places if heavy else self.places
        with self.memory.room(organization) as room:
            async with places.place(organization, deadline) as place:
                native = _behind(native, place.others)
                began = asyncio.get_running_loop().time()
                before = partial(self._look_before, query, deadline)
                try:
                    reply, broker = await self.brokers.ask(native, query_id, deadline, room, before)
                    if self.coverage is not None:
                        again = partial(broker.ask, native, query_id, deadline, room)
                        reply = await self._whole(query, reply, broker, again, deadline)
                except (asyncio.CancelledError, DeadlineExceeded):
                    # Nobody waits for it any more; Druid is still at it.
                    place.ends = self.brokers.cancellations(query_id)
                    raise
            if self.appended is not None and self.realtime is not None:
                await self._look_after(query, began, deadline, broker)
                # That was waiting for Druid, too.
                reply = replace(reply, came=asyncio.get_running_loop().time())
            try:
                check_rows(query, reply.rows)
            except TenancyViolated as error:
                raise _stopped(error, query_id) from error
        return reply

    async def _whole(
        self, query: DruidQuery, reply: Reply, broker: Broker, again: Callable[[], Awaitable[Reply]], deadline: float
    ) -> Reply:
        """Return an answer in which nothing is missing; raises DataUnavailable where there is none."""
        if reply.uncovered is None:
            # The broker has only just started, or cannot list so much. What it came to know since it planned the query
            # is not in the answer, so that one counts which it plans after it was seen to know everything.
            asked = _asked(query)
            try:
                served = await broker.served(query.dataset.data_source, asked, deadline)
                await self._check_whole(query.dataset.data_source, complement(served, asked))
                reply = await again()
            except NoAnswer as error:
                raise _uncertain() from error
        await self._check_whole(query.dataset.data_source, reply.uncovered or ())
        return reply

    async def _check_whole(self, data_source: str, uncovered: Iterable[Stretch]) -> None:
        """Raise DataUnavailable where there is data in time that no server had any for."""
        assert self.coverage is not None  # noqa: S101 - whoever calls has looked
        try:
            hole = await self.coverage.hole(data_source, uncovered)
        except LookupError as error:
            raise DataUnavailable(
                "It is not known yet what data there is. Ask again soon.", headers=RETRY_SOON
            ) from error
        if hole is not None:
            raise _unavailable(data_source, hole, coverage_age=round(self.coverage.age, 1))

    async def _look_before(self, query: DruidQuery, deadline: float, broker: Broker) -> None:
        """Raise DataUnavailable where a broker that is about to be asked lacks an appended segment, or NoAnswer."""
        if self.appended is None:
            return
        data_source, asked = query.dataset.data_source, _asked(query)
        try:
            hole = await self.appended.look_before(data_source, asked, broker, deadline)
        except InvalidDruidResponse as error:
            raise _uncertain() from error
        if hole is not None:
            raise _unavailable(data_source, hole)

    async def _look_after(self, query: DruidQuery, began: float, deadline: float, broker: Broker) -> None:
        """Raise DataUnavailable where a broker that has answered lacks an appended segment, or rows of a stream."""
        assert self.appended is not None  # noqa: S101 - whoever calls has looked
        assert self.realtime is not None  # noqa: S101
        data_source, asked = query.dataset.data_source, _asked(query)
        try:
            if hole := await self.appended.look_after(data_source, asked, broker, deadline):
                raise _unavailable(data_source, hole)
            if hole := await self.realtime.hole(data_source, asked, began, broker):
                raise _unavailable(data_source, hole, realtime_age=round(self.realtime.age, 1))
        except (NoAnswer, InvalidDruidResponse) as error:
            raise _uncertain() from error


def _asked(query: DruidQuery) -> Stretch:
    return parse_stretch(query.native["intervals"])


def _unavailable(data_source: str, hole: Stretch, **ages: float) -> DataUnavailable:
    start, end = hole.iso()
    log.error("data_unavailable", data_source=data_source, start=start, end=end, **ages)
    return DataUnavailable("A part of the data is not available at the moment. Ask again soon.", headers=RETRY_SOON)


def _uncertain() -> DataUnavailable:
    return DataUnavailable("It cannot be told whether all data is there. Ask again soon.", headers=RETRY_SOON)


def _behind(native: Json, others: int) -> Json:
    """Let whoever has fewer queries running overtake in Druid, too, whose queues know no organizations."""
    context = native["context"]
    return {**native, "context": {**context, "priority": context.get("priority", 0) - others}}


def _stopped(error: TenancyViolated, query_id: str) -> InternalError:
    log.critical("tenancy_violated", reason=str(error), druid_query_id=query_id)
    return InternalError("The report was stopped.")
