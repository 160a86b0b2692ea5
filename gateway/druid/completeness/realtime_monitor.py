"""What streaming tasks were seen to hold, so that rows which are gone again are noticed.

Rows that a task has read and not yet published stand in no metadata. When the task ends before it publishes, Druid
answers without them, with a 200, until another one has read them again: into segments of the same names, as many rows
(without rollup). So what was seen once must be there, until a historical has it or a newer version replaces it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import structlog

from gateway.druid.api.broker import Broker, NoAnswer
from gateway.druid.broker_pool import Brokers
from gateway.druid.completeness.availability import Coverage
from gateway.druid.completeness.realtime_state import Held, look
from gateway.druid.stretches import Segment, Stretch, parse_stretch
from gateway.errors import InvalidDruidResponse

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.5
"""Seconds between two looks at what tasks hold. One that holds little is there again in less than a second."""
_LOOK_SECONDS = 2.0
_EVER = parse_stretch("0001-01-01T00:00:00.000Z/9999-12-31T00:00:00.000Z")
_TASKS = frozenset({"indexer-executor", "realtime"})


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
                with suppress(NoAnswer, InvalidDruidResponse):
                    async with self._looking:
                        await self._look(broker, _EVER if seeks else self._span())
                    everywhere = now if seeks else everywhere
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._forget_dropped()
            await asyncio.sleep(LOOK_EVERY)

    async def hole(self, asked: Stretch, began: float, broker: Broker) -> Stretch | None:
        """Return the first time of `asked` whose rows may be missing in what the broker just answered; or None.

        `began` is the event loop's time before the broker was asked. Raises NoAnswer or InvalidDruidResponse.
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
            raise InvalidDruidResponse("The database gave no whole answer.") from error
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
            raise InvalidDruidResponse("The database gave no whole answer.") from error
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
