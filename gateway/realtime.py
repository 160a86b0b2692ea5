"""What streaming tasks were seen to hold, so that rows which are gone again are noticed.

Rows that a task has read and not yet published stand in no metadata. When the task ends before it publishes, Druid
answers without them, with a 200, until another one has read them again: into segments of the same names, as many rows
(without rollup). So what was seen once must be there, until a historical has it or a newer version replaces it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import structlog

from gateway.broker import Broker, NoAnswer
from gateway.brokers import Brokers
from gateway.coverage import Coverage
from gateway.errors import BadUpstreamAnswer
from gateway.segments import Segment, Stretch, parse_stretch

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.5
"""Seconds between two looks at what tasks hold. One that holds little is there again in less than a second."""
_LOOK_SECONDS = 2.0
_GIVEN_UP_AFTER = 3600.0
"""Seconds without a change until rows that are missing are missed no more: somebody has thrown them away."""
_DOUBTS = 2
"""Looks in a row that must find everything until rows are back: queries may have seen more than the looks had."""
_DOUBTS_OF_REPLICAS = 20
"""The same where several tasks have a segment: nobody knows which of them Druid asks."""
_REPLICAS_LAG = 10.0
"""Seconds that one of them may be behind another."""
_EVER = parse_stretch("0001-01-01T00:00:00.000Z/9999-12-31T00:00:00.000Z")
_TASKS = frozenset({"indexer-executor", "realtime"})


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a segment that tasks have and no historical: never fewer rows again than there were.

    `found` are the rows of the last look, `changed_at` when the last look was that found others or all; `rows` the most
    that there were, of which `settled` are so old that each replica must have them, and those that were there at
    `settles_at` will be. After rows were missing, `doubts` are left until so many looks have found them all; they are
    back since `back_at`. Moments are the event loop's.
    """

    found: int
    changed_at: float
    rows: int
    settled: int
    settling: int
    settles_at: float
    doubts: int = 0
    back_at: float = float("-inf")

    @classmethod
    def first(cls, found: int, at: float) -> Self:
        """Return what is known after the first look."""
        return cls(found, at, rows=found, settled=0, settling=found, settles_at=at)

    @property
    def lacks(self) -> bool:
        """Whether rows are missing, or were a moment ago."""
        return self.doubts > 0

    def after(self, found: int, at: float, replicas: int) -> Self:
        """Return what is known after another look."""
        least, most_doubts = (self.settled, _DOUBTS_OF_REPLICAS) if replicas > 1 else (self.rows, _DOUBTS)
        is_whole = found >= least
        doubts = max(0, self.doubts - 1) if is_whole else most_doubts
        settles = at - self.settles_at > _REPLICAS_LAG
        return type(self)(
            found,
            changed_at=at if is_whole or found != self.found else self.changed_at,
            rows=max(self.rows, found),
            settled=self.settling if settles else self.settled,
            settling=self.rows if settles else self.settling,
            settles_at=at if settles else self.settles_at,
            doubts=doubts,
            back_at=at if self.doubts and not doubts else self.back_at,
        )


def look(
    held: Mapping[Segment, Held], served: Mapping[Segment, int], rows: Mapping[Segment, int], at: float
) -> dict[Segment, Held]:
    """Return what is held after a look.

    `served` are the segments that there are at the time of those held, each with the number of tasks that have it: 0
    where a historical has. `rows` are what those that only tasks have were found to hold.
    """
    after = {
        segment: before.after(rows.get(segment, 0), at, served.get(segment, 0))
        for segment, before in held.items()
        if (served[segment] > 0 if segment in served else not segment.is_replaced(served))
    }
    new = {segment: Held.first(rows[segment], at) for segment in rows.keys() - held.keys()}
    return {segment: each for segment, each in (after | new).items() if at - each.changed_at <= _GIVEN_UP_AFTER}


class Stream:
    """What the tasks of one data source hold: looked at again and again, and after each query of their time."""

    def __init__(self, data_source: str, coverage: Coverage) -> None:
        self._data_source = data_source
        self._coverage = coverage
        self._held: dict[Segment, Held] = {}
        self._looking = asyncio.Lock()
        self._began = self.looked = float("-inf")

    async def watch(self, brokers: Brokers, period: float) -> None:
        """Look all the time: every `period` seconds for tasks anywhere, and more often at those that there are."""
        everywhere = float("-inf")
        while True:
            now = asyncio.get_running_loop().time()
            seeks = now - everywhere >= period
            # The same one as long as it answers: another may hear of new segments a moment later.
            broker = next((broker for broker, answers in brokers.states.items() if answers), None)
            if broker is not None and (seeks or self._held):
                with suppress(NoAnswer, BadUpstreamAnswer):
                    async with self._looking:
                        await self._look(broker, _EVER if seeks else self._span())
                    everywhere = now if seeks else everywhere
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._forget_dropped()
            await asyncio.sleep(LOOK_EVERY)

    async def hole(self, asked: Stretch, began: float, broker: Broker) -> Stretch | None:
        """Return the first time of `asked` whose rows may be missing in what the broker just answered; or None.

        `began` is the event loop's time before the broker was asked. Raises NoAnswer or BadUpstreamAnswer.
        """
        came = asyncio.get_running_loop().time()
        if any(segment.stretch.overlaps(asked) for segment in self._held) and not self._hole(asked, began):
            # One look does for all who wait: it has begun after their answers came.
            async with self._looking:
                if self._began < came:
                    await self._look_quickly(broker)
        return self._hole(asked, began)

    def _hole(self, asked: Stretch, began: float) -> Stretch | None:
        return min(
            (
                Stretch(max(segment.stretch.start, asked.start), min(segment.stretch.end, asked.end))
                for segment, held in self._held.items()
                if segment.stretch.overlaps(asked) and (held.lacks or held.back_at > began)
            ),
            default=None,
        )

    async def _forget_dropped(self) -> None:
        """Forget what was published and then dropped: that nobody serves it is as it should be."""
        for segment in [segment for segment, held in self._held.items() if held.lacks and not held.found]:
            if await self._coverage.is_dropped(self._data_source, segment):
                self._keep({each: held for each, held in self._held.items() if each != segment}, self._began)

    def _span(self) -> Stretch:
        stretches = [segment.stretch for segment in self._held]
        return Stretch(min(each.start for each in stretches), max(each.end for each in stretches))

    async def _look_quickly(self, broker: Broker) -> None:
        """Look at the rows alone: as long as they are all there, nothing else matters."""
        began = asyncio.get_running_loop().time()
        rows = await self._rows(broker, self._held)
        if all(rows.get(segment, 0) >= held.rows for segment, held in self._held.items()):
            self._keep(look(self._held, dict.fromkeys(self._held, 1), rows, asyncio.get_running_loop().time()), began)
        else:
            await self._look(broker, self._span())

    async def _look(self, broker: Broker, span: Stretch) -> None:
        began = asyncio.get_running_loop().time()
        try:
            served = {
                Segment.described(each): _tasks(each["locations"])
                for each in await broker.candidates(self._data_source, span, began + _LOOK_SECONDS)
            }
        except (KeyError, TypeError, ValueError) as error:
            raise BadUpstreamAnswer("The database gave no whole answer.") from error
        rows = await self._rows(broker, [segment for segment, tasks in served.items() if tasks])
        self.looked = asyncio.get_running_loop().time()
        self._keep(look(self._held, served, rows, self.looked), began)

    async def _rows(self, broker: Broker, segments: Iterable[Segment]) -> Mapping[Segment, int]:
        by_id = {segment.id(self._data_source): segment for segment in segments}
        if not by_id:
            return {}
        descriptors = [
            {"itvl": "/".join(segment.stretch.iso()), "ver": segment.version, "part": segment.partition}
            for segment in by_id.values()
        ]
        deadline = asyncio.get_running_loop().time() + _LOOK_SECONDS
        rows: Counter[Segment] = Counter()
        try:
            for each in await broker.segments(self._data_source, descriptors, deadline):
                # A segment of which older versions show but in part has a name that nobody asked for.
                if each["id"] in by_id:
                    rows[by_id[each["id"]]] += each["numRows"]
        except (KeyError, TypeError) as error:
            raise BadUpstreamAnswer("The database gave no whole answer.") from error
        return rows

    def _keep(self, after: dict[Segment, Held], began: float) -> None:
        before, self._held, self._began = self._held, after, began
        for segment in before.keys() | after.keys():
            was, now = before.get(segment), after.get(segment)
            if (was is not None and was.lacks) != (now is not None and now.lacks):
                event = "rows_missing" if now is not None and now.lacks else "rows_missed_no_more"
                start, end = segment.stretch.iso()
                held = now or was
                log.warning(
                    event,
                    data_source=self._data_source,
                    start=start,
                    end=end,
                    rows=held.rows if held else 0,
                    found=held.found if held else 0,
                )


def _tasks(locations: list[Any]) -> int:
    """Return how many tasks have a segment, 0 where a server of another kind has it, too."""
    kinds = [each["type"] for each in locations]
    return len(kinds) if _TASKS.issuperset(kinds) else 0


class Realtime:
    """The streams into each data source. An async context manager: it looks at them in the background."""

    def __init__(self, brokers: Brokers, coverage: Coverage, data_sources: Iterable[str], *, period: float) -> None:
        self._brokers = brokers
        self._streams = {data_source: Stream(data_source, coverage) for data_source in data_sources}
        self._period = period

    @property
    def age(self) -> float:
        """Seconds since the last look at what tasks hold, of whichever data source it is the longest."""
        now = asyncio.get_running_loop().time()
        return max((now - each.looked for each in self._streams.values()), default=0.0)

    async def hole(self, data_source: str, asked: Stretch, began: float, broker: Broker) -> Stretch | None:
        """Return the first time whose rows may be missing in an answer, as Stream.hole; None where there is none."""
        return await self._streams[data_source].hole(asked, began, broker)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(each.watch(self._brokers, self._period)) for each in self._streams.values()]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
