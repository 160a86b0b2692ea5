"""Being replaced by intervals.py and segments.py."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


def parse_stretch(interval: str) -> Stretch:
    """Return the stretch that Druid writes as an interval: two moments with a slash between."""
    first, last = (
        (datetime.fromisoformat(moment).replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        for moment in interval.split("/")
    )
    return Stretch(first, last)


NEVER = parse_stretch("1000-01-01T00:00:00.000Z/1000-01-01T00:00:00.001Z")
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
        stretch = parse_stretch(description["interval"])
        return cls(stretch, description["version"], description["partitionNumber"])

    @classmethod
    def stored(cls, description: Mapping[str, Any]) -> Self:
        """Return the segment that the metadata store describes."""
        stretch = parse_stretch(description["interval"])
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
    return merge(parse_stretch(each) for each in times)


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
