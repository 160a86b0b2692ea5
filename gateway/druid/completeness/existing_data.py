"""What data a data source has, according to the coordinator's list of its segments."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterable
from dataclasses import dataclass
from heapq import merge as merge_runs

import structlog

from gateway.druid.api.coordinator import InvalidMetadata
from gateway.druid.intervals import TimeRange, merge, merge_sorted
from gateway.druid.segments import Description, Segment

_SLICE = 2_000
"""Items handled at a time, between which other tasks run: about a millisecond."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExistingData:
    """The time that has data, and the segments that were appended to time that other segments fill.

    What one ingestion wrote together (the core partitions) is served completely or not at all, and Druid names its time
    as uncovered. An appended segment is served or not on its own, and nothing names it.
    """

    covered: tuple[TimeRange, ...]
    appended: dict[TimeRange, tuple[Segment, ...]]

    def appended_in(self, time_range: TimeRange) -> list[Segment]:
        """Return the appended segments that overlap this time."""
        return [each for chunk, segments in self.appended.items() if chunk.overlaps(time_range) for each in segments]


async def read_existing_data(data_source: str, slices: AsyncIterable[list[Description]]) -> ExistingData:
    """Read descriptions of all used segments, a slice at a time. Other tasks run in between.

    A segment that cannot be read is logged and left out: it must not affect the others. Raises InvalidMetadata if none
    can be read, since the data source would seem to be empty.
    """
    total = unreadable = 0
    ranges: dict[str, TimeRange] = {}
    counts: defaultdict[str, int] = defaultdict(int)
    appended: defaultdict[str, list[Segment]] = defaultdict(list)
    async for descriptions in slices:
        total += len(descriptions)
        for description in descriptions:
            try:
                if not _is_to_be_served(description):
                    continue
                interval = description["interval"]
                segment = Segment.from_metadata(description)
            except (AttributeError, KeyError, TypeError, ValueError):
                unreadable += 1
                continue
            ranges[interval] = segment.time_range
            counts[interval] += 1
            if not segment.is_core:
                appended[interval].append(segment)
    if unreadable:
        _log.error("segments_not_readable", data_source=data_source, segments=unreadable)
        if unreadable == total:
            raise InvalidMetadata("The coordinator describes segments in another form than expected.")
    # A segment that is alone in its time is not appended: without it, the time is uncovered.
    return ExistingData(
        covered=await _merged(list(ranges.values())),
        appended={ranges[each]: tuple(found) for each, found in appended.items() if counts[each] > 1},
    )


async def _merged(ranges: list[TimeRange]) -> tuple[TimeRange, ...]:
    """Return what `merge` returns, in slices."""
    runs = []
    for start in range(0, len(ranges), _SLICE):
        runs.append(merge(ranges[start : start + _SLICE]))
        await asyncio.sleep(0)
    merged = []
    for number, each in enumerate(merge_sorted(merge_runs(*runs))):
        merged.append(each)
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return tuple(merged)


def _is_to_be_served(description: Description) -> bool:
    """Whether Druid should serve the segment: no newer one replaces it, and rules of retention do not exclude it."""
    return bool(
        not description.get("overshadowed")
        and description.get("replicationFactor") != 0
        and (description.get("shardSpec") or {}).get("type") != "tombstone"
    )
