"""Which time each data source has data for, so that data which no server holds is noticed.

Druid leaves out, with a 200, whatever no server serves at the moment. What there should be stands in the metadata of
the coordinator (`GET /druid/coordinator/v1/metadata/segments`); what was not there for a query is in its response
context, when asked for with `uncoveredIntervalsLimit`
(https://druid.apache.org/docs/33.0.0/querying/query-context). Time in both is a hole in the answer.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import structlog
from yarl import URL

from gateway.rows import parse_rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)

REMIND_EVERY = 300.0
"""Seconds between two lines of the log that say that the coordinator still cannot be asked."""
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Stretch(NamedTuple):
    """The time from `start` up to, but not including, `end`; in milliseconds since 1970."""

    start: int
    end: int

    def iso(self) -> tuple[str, str]:
        """Return start and end as Druid writes moments."""
        start, end = (
            (EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            for moment in self
        )
        return start, end

    def overlaps(self, other: "Stretch") -> bool:
        """Whether some time is in both."""
        return self.start < other.end and other.start < self.end


def parse_stretch(start: str, end: str) -> Stretch:
    """Return the stretch between two moments as Druid writes them."""
    first, last = (
        (datetime.fromisoformat(moment).replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        for moment in (start, end)
    )
    return Stretch(first, last)


NEVER = parse_stretch("1000-01-01T00:00:00.000Z", "1000-01-01T00:00:00.001Z")
"""A moment that has no data, and is asked for with every query: where Druid does not say that nobody serves it, it has
not looked. A broker that has just started answers for a data source that it does not know yet as for one with no gap.
"""


class Segment(NamedTuple):
    """A segment's name within its data source."""

    stretch: Stretch
    version: str
    partition: int

    @classmethod
    def described(cls, description: Mapping[str, Any]) -> Self:
        """Return the segment that the broker's list of candidates describes."""
        stretch = parse_stretch(*description["interval"].split("/"))
        return cls(stretch, description["version"], description["partitionNumber"])

    @classmethod
    def stored(cls, description: Mapping[str, Any]) -> Self:
        """Return the segment that the metadata store describes."""
        stretch = parse_stretch(*description["interval"].split("/"))
        return cls(stretch, description["version"], description["shardSpec"].get("partitionNum", 0))

    def id(self, data_source: str) -> str:
        """Return Druid's name for it."""
        partition = [str(self.partition)] if self.partition else []
        return "_".join([data_source, *self.stretch.iso(), self.version, *partition])

    def covers(self, other: "Segment") -> bool:
        """Whether all of the other's time is this one's, too."""
        return self.stretch.start <= other.stretch.start and other.stretch.end <= self.stretch.end

    def is_replaced(self, others: Iterable["Segment"]) -> bool:
        """Whether one of the others is a newer version of its time, or of a part of that."""
        return any(other.version > self.version and other.stretch.overlaps(self.stretch) for other in others)


def merge(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return the same time as few stretches in order, none of which touches the next."""
    merged: list[Stretch] = []
    for stretch in sorted(stretches):
        if merged and stretch.start <= merged[-1].end:
            merged[-1] = Stretch(merged[-1].start, max(merged[-1].end, stretch.end))
        else:
            merged.append(stretch)
    return tuple(merged)


def common(known: Sequence[Stretch], uncovered: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Return the time that is in both; each is merged, and so is what comes back."""
    found = []
    theirs = list(uncovered)
    for mine in known:
        while theirs and theirs[0].end <= mine.start:
            theirs.pop(0)
        for other in theirs:
            if other.start >= mine.end:
                break
            found.append(Stretch(max(mine.start, other.start), min(mine.end, other.end)))
    return tuple(found)


def complement(served: Iterable[Stretch], within: Stretch) -> tuple[Stretch, ...]:
    """Return the time of `within` that is in none of the others."""
    gaps, reached = [], within.start
    for stretch in merge(served):
        if reached < min(stretch.start, within.end):
            gaps.append(Stretch(reached, min(stretch.start, within.end)))
        reached = max(reached, stretch.end)
    return (*gaps, Stretch(reached, within.end)) if reached < within.end else tuple(gaps)


def data_stretches(segments: Iterable[Any]) -> tuple[Stretch, ...]:
    """Return the time that these segments, as the coordinator describes them, have data for.

    Not counted are those that newer ones replace, that no server is to load, and tombstones, which say that there is no
    data any more. Raises KeyError, TypeError or ValueError where a description is of another form.
    """
    # A data source has many segments of the same time: parse each once.
    times = {segment["interval"] for segment in segments if _is_to_be_served(segment)}
    return merge(parse_stretch(*each.split("/")) for each in times)


def appended_segments(segments: Iterable[Any]) -> tuple[Segment, ...]:
    """Return those that Druid may serve or not without the others of their time: all but the core partitions.

    One that is alone is not among them: its time is uncovered without it. Raises as `data_stretches`.
    """
    chunks: defaultdict[str, list[Any]] = defaultdict(list)
    for segment in segments:
        if _is_to_be_served(segment):
            chunks[segment["interval"]].append(segment)
    return tuple(
        Segment.stored(each)
        for chunk in chunks.values()
        if len(chunk) > 1
        for each in chunk
        if not _is_core(each["shardSpec"])
    )


def _is_to_be_served(segment: Mapping[str, Any]) -> bool:
    return bool(
        not segment["overshadowed"]
        and segment["replicationFactor"] != 0
        and segment["shardSpec"]["type"] != "tombstone"
    )


def _is_core(shard_spec: Mapping[str, Any]) -> bool:
    core = shard_spec.get("numCorePartitions", shard_spec.get("partitions", 0))
    return bool(shard_spec.get("partitionNum", 0) < core)


class Coverage:
    """What time there is data for, asked of the coordinator every `period` seconds. An async context manager.

    The last knowledge serves while the coordinator cannot be asked; `age` says how old it is. Before a hole is
    believed, the metadata store itself is asked about it: what was known may have been replaced by nothing just now.
    """

    def __init__(self, coordinator: URL, data_sources: Iterable[str], *, period: float) -> None:
        self._metadata = coordinator / "druid/coordinator/v1/metadata"
        self._data_sources = tuple(data_sources)
        self._period = period
        self._known: dict[str, tuple[Stretch, ...]] = {}
        self._appended: dict[str, tuple[Segment, ...]] = {}
        self._asked = float("-inf")
        self._failing_since: float | None = None
        self._said = float("-inf")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        await self._refresh()
        self._task = asyncio.create_task(self._refresh_forever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._session.close()

    @property
    def age(self) -> float:
        """Seconds since the coordinator last answered for every data source; infinite before it ever did."""
        return time.monotonic() - self._asked

    def is_complete(self) -> bool:
        """Whether every data source is known."""
        return self._known.keys() >= set(self._data_sources)

    async def hole(self, data_source: str, uncovered: Iterable[Stretch]) -> Stretch | None:
        """Return the first time of `uncovered` for which there is data; None where there is none.

        Raises LookupError where nothing is known of the data source.
        """
        doubtful = common(self._known[data_source], merge(uncovered))
        if not doubtful:
            return None
        stored = await self._stored(data_source, doubtful)
        return (
            doubtful[0]
            if stored is None
            else next(iter(common(merge(each.stretch for each in stored), doubtful)), None)
        )

    def appended(self, data_source: str, asked: Stretch) -> list[Segment]:
        """Return the data source's segments in that time that were appended to others."""
        return [each for each in self._appended.get(data_source, ()) if each.stretch.overlaps(asked)]

    async def lost(self, data_source: str, missing: Sequence[Segment]) -> Stretch | None:
        """Return the time of the first of these segments that there still is; None where there is none any more."""
        stored = await self._stored(data_source, [each.stretch for each in missing]) if missing else frozenset()
        return next((each.stretch for each in missing if stored is None or each in stored), None)

    async def _stored(self, data_source: str, times: Iterable[Stretch]) -> frozenset[Segment] | None:
        """Return the segments with data that the metadata store has of these times; None where it cannot be asked."""
        url = self._metadata / "datasources" / data_source / "segments"
        intervals = ["/".join(stretch.iso()) for stretch in times]
        try:
            async with self._session.post(url, params={"full": ""}, json=intervals) as response:
                # For what has no segments Druid says 200 and []: a 404 is that of something else in its place.
                response.raise_for_status()
                found = await parse_rows(await response.read())
            # Until the coordinator's next turn, what a newer version has replaced stands beside it.
            all_there = {Segment.stored(each): each["shardSpec"]["type"] != "tombstone" for each in found}
            return frozenset(
                each
                for each, has_data in all_there.items()
                if has_data and not any(other.version > each.version and other.covers(each) for other in all_there)
            )
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("hole_not_confirmed", data_source=data_source, error=repr(error))
            return None

    async def is_dropped(self, data_source: str, segment: Segment) -> bool:
        """Return whether a segment was published and is not to be served any more, as rules of retention say.

        False where the coordinator does not say so.
        """
        url = self._metadata / "datasources" / data_source / "unusedSegments"
        interval = {"interval": "_".join(segment.stretch.iso())}
        with suppress(aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError):
            async with self._session.get(url, params=interval) as response:
                response.raise_for_status()
                unused = await parse_rows(await response.read())
                return segment in {Segment.stored(each["dataSegment"]) for each in unused}
        return False

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            await self._refresh()

    async def _refresh(self) -> None:
        began = time.monotonic()
        try:
            for data_source in self._data_sources:
                segments = await self._ask(data_source)
                self._known[data_source] = data_stretches(segments)
                self._appended[data_source] = appended_segments(segments)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._complain(error, began)
        else:
            self._asked = began
            if self._failing_since is not None:
                log.info("coverage_refreshed_again", away=round(began - self._failing_since, 1))
                self._failing_since = None

    def _complain(self, error: Exception, now: float) -> None:
        """Say it the first time, which a restart explains, and louder every few minutes for as long as it lasts."""
        if self._failing_since is None:
            self._failing_since = self._said = now
            log.warning("coverage_not_refreshed", error=repr(error), age=round(self.age, 1))
        elif now - self._said >= REMIND_EVERY:
            self._said = now
            log.error("coverage_not_refreshed", error=repr(error), age=round(self.age, 1))

    async def _ask(self, data_source: str) -> list[Any]:
        asked = {"datasources": data_source, "includeOvershadowedStatus": "true"}
        async with self._session.get(self._metadata / "segments", params=asked) as response:
            response.raise_for_status()
            return await parse_rows(await response.read())
