"""One class for Druid's segments, and the descriptions that Druid's services give of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from gateway.druid.intervals import TimeRange
from gateway.druid.slices import sliced

Description = Mapping[str, Any]
"""A segment as a Druid service describes it in JSON."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A segment within its data source. Identity is time range, version and partition; versions compare as text.

    A tombstone has no rows: it says that the older data of its time was deleted. `is_core` is true for partitions that
    one ingestion wrote together: Druid serves all of them or none.
    """

    time_range: TimeRange
    version: str
    partition: int
    size: int = field(default=0, compare=False)
    is_tombstone: bool = field(default=False, compare=False)
    is_core: bool = field(default=False, compare=False)

    @classmethod
    def from_metadata(cls, description: Description) -> Self:
        """Read a segment as the coordinator describes it. Raises KeyError, TypeError or ValueError."""
        shard_spec = description.get("shardSpec") or {}
        partition = shard_spec.get("partitionNum", 0)
        is_tombstone = shard_spec.get("type") == "tombstone"
        return cls(
            TimeRange.parse(description["interval"]),
            *_identity(description["version"], partition),
            0 if is_tombstone else description.get("size", 0),
            is_tombstone,
            partition < shard_spec.get("numCorePartitions", shard_spec.get("partitions", 0)),
        )

    @classmethod
    def from_candidate(cls, description: Description) -> Self:
        """Read a segment as the broker's list of candidates describes it. Raises KeyError, TypeError or ValueError."""
        identity = _identity(description["version"], description["partitionNumber"])
        return cls(TimeRange.parse(description["interval"]), *identity, description.get("size", 0))

    def id(self, data_source: str) -> str:
        """Return Druid's name for the segment."""
        partition = [str(self.partition)] if self.partition else []
        return "_".join([data_source, *self.time_range.iso(), self.version, *partition])

    def descriptor(self) -> dict[str, Any]:
        """Return the segment as a native query names it."""
        return {"itvl": str(self.time_range), "ver": self.version, "part": self.partition}

    def is_replaced(self, others: Iterable["Segment"]) -> bool:
        """Whether one of the others is a newer version of this segment's time, or of a part of it."""
        return any(other.version > self.version and other.time_range.overlaps(self.time_range) for other in others)


def _identity(version: object, partition: object) -> tuple[str, int]:
    """Return both, which are compared and become part of names. Raises TypeError if one is of another type."""
    if isinstance(version, str) and isinstance(partition, int) and not isinstance(partition, bool):
        return version, partition
    raise TypeError("the version is not a text, or the partition not a number")


_TASKS = frozenset({"indexer-executor", "realtime"})


@dataclass(frozen=True, slots=True)
class ServedSegment:
    """A segment that a broker knows, and the kinds of the servers that have it: "historical", "indexer-executor" …"""

    segment: Segment
    servers: tuple[str, ...]

    @classmethod
    def from_candidate(cls, description: Description) -> Self:
        """Read an entry of the broker's list of candidates. Raises KeyError, TypeError or ValueError."""
        servers = tuple(str(server.get("type")) for server in description["locations"])
        return cls(Segment.from_candidate(description), servers)

    @property
    def tasks(self) -> int:
        """The number of tasks that have the segment; 0 if a server of another kind has it, too: then it is complete."""
        return len(self.servers) if _TASKS.issuperset(self.servers) else 0


async def current(segments: Sequence[Segment]) -> frozenset[Segment]:
    """Return the segments with data that no newer version replaces completely. Other tasks run meanwhile.

    The metadata store keeps replaced segments until the coordinator's next cycle.
    """
    newest: dict[TimeRange, str] = {}
    async for part in sliced(segments):
        for each in part:
            newest[each.time_range] = max(each.version, newest.get(each.time_range, ""))
    # Each range comes after those that contain it. Few overlap it, so that the work grows with their number only.
    overlapping: list[TimeRange] = []
    async for ranges in sliced(sorted(newest, key=lambda each: (each.start, -each.end))):
        for time_range in ranges:
            overlapping = [each for each in overlapping if each.end > time_range.start]
            containing = (newest[each] for each in overlapping if each.end >= time_range.end)
            newest[time_range] = max(newest[time_range], *containing, "")
            overlapping.append(time_range)
    found: set[Segment] = set()
    async for part in sliced(segments):
        found.update(each for each in part if not each.is_tombstone and each.version >= newest[each.time_range])
    return frozenset(found)
