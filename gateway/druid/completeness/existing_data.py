"""What data a data source has, according to the coordinator's list of its segments."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from heapq import merge as merge_runs
from typing import Any

import structlog

from gateway.druid.api.coordinator import InvalidMetadata
from gateway.druid.intervals import TimeRange
from gateway.druid.segments import Description, Segment
from gateway.druid.slices import SLICE, sliced

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExistingData:
    """The time that has data, and the segments that were appended to time that other segments fill.

    What one ingestion wrote together (the core partitions) is served completely or not at all, and Druid names its time
    as uncovered. An appended segment is served or not on its own, and nothing names it.
    """

    covered: tuple[TimeRange, ...]
    appended: Mapping[TimeRange, tuple[Segment, ...]]

    def appended_in(self, time_range: TimeRange) -> list[Segment]:
        """Return the appended segments that overlap this time."""
        return [each for chunk, segments in self.appended.items() if chunk.overlaps(time_range) for each in segments]


async def read_existing_data(data_source: str, slices: AsyncIterable[list[Description]]) -> ExistingData:
    """Read descriptions of all used segments, a slice at a time. Other tasks run in between.

    A segment that cannot be read is logged and left out: it must not affect the others. Raises InvalidMetadata if none
    can be read, since the data source would seem to be empty.
    """
    # Plain tuples and numbers only: the garbage collector does not visit them, which takes long if there are 100,000.
    chunks: dict[str, tuple[int, int]] = {}
    counts: Counter[str] = Counter()
    separate: list[tuple[str, str, int]] = []
    total = unreadable = 0
    async for descriptions in slices:
        total += len(descriptions)
        for description in descriptions:
            try:
                if not _is_to_be_served(description):
                    continue
                segment, interval = Segment.from_metadata(description), description["interval"]
            except (AttributeError, KeyError, TypeError, ValueError):
                unreadable += 1
                continue
            chunks[interval] = (segment.time_range.start, segment.time_range.end)
            counts[interval] += 1
            if not segment.is_core:
                separate.append((interval, segment.version, segment.partition))
    if unreadable:
        _log.error("segments_not_readable", data_source=data_source, segments=unreadable)
        if unreadable == total:
            raise InvalidMetadata("The coordinator describes segments in another form than expected.")
    # A segment that is alone in its time is not appended: without it, the time is uncovered.
    beside_others = [(chunks[chunk], version, part) for chunk, version, part in separate if counts[chunk] > 1]
    data = ExistingData(await _merged(list(chunks.values())), await _by_chunk(beside_others))
    await _free(chunks)
    await _free(counts)
    return data


async def _free(items: dict[str, Any]) -> None:
    """Empty the dict in slices: freeing 100,000 objects at once takes ten milliseconds."""
    while items:
        for _ in range(min(SLICE, len(items))):
            items.popitem()
        await asyncio.sleep(0)


async def _by_chunk(found: list[tuple[tuple[int, int], str, int]]) -> dict[TimeRange, tuple[Segment, ...]]:
    """Return segments, given as chunk, version and partition, by their chunk."""
    segments: defaultdict[TimeRange, list[Segment]] = defaultdict(list)
    async for part in sliced(found):
        for chunk, version, partition in part:
            time_range = TimeRange(*chunk)
            segments[time_range].append(Segment(time_range, version, partition))
    return {time_range: tuple(each) for time_range, each in segments.items()}


async def _merged(chunks: list[tuple[int, int]]) -> tuple[TimeRange, ...]:
    """Return the same time as the fewest ranges, in order; as `merge`, but in slices."""
    runs = [sorted(part) async for part in sliced(chunks)]
    merged: list[TimeRange] = []
    for number, (start, end) in enumerate(merge_runs(*runs)):
        if merged and start <= merged[-1].end:
            merged[-1] = TimeRange(merged[-1].start, max(merged[-1].end, end))
        else:
            merged.append(TimeRange(start, end))
        if number % SLICE == 0:
            await asyncio.sleep(0)
    return tuple(merged)


def _is_to_be_served(description: Description) -> bool:
    """Whether Druid should serve the segment: no newer one replaces it, and rules of retention do not exclude it."""
    return bool(
        not description.get("overshadowed")
        and description.get("replicationFactor") != 0
        and (description.get("shardSpec") or {}).get("type") != "tombstone"
    )
