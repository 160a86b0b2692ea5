"""What Druid tells about tasks and segments, as values. Pure; shapes as Druid 33 sends them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Json = Mapping[str, Any]


class State(Enum):
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class Phase(Enum):
    """What a task is doing; `value` is for people. In the order in which a task goes through them."""

    WAITING = "waiting for a free slot"
    PARTITIONING = "finding where to cut"
    READING = "reading rows"
    MERGING = "merging segments"
    LOADING = "loading segments"


_PHASES = {
    "partial_dimension_distribution": Phase.PARTITIONING,
    "partial_dimension_cardinality": Phase.PARTITIONING,
    "partial_range_index_generate": Phase.READING,
    "partial_index_generate": Phase.READING,
    "single_phase_sub_task": Phase.READING,
    "partial_index_generic_merge": Phase.MERGING,
}


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """`created`: Druid's time stamp, comparable as text with segments' versions. `duration`: ms, -1 if unknown."""

    task_id: str
    group_id: str
    type: str
    data_source: str
    state: State
    is_waiting: bool
    created: str
    duration: int
    error: str | None

    @property
    def phase(self) -> Phase | None:
        """Of a subtask; the task as a whole has none of its own."""
        return _PHASES.get(self.type)

    @classmethod
    def parse(cls, json: Json) -> "TaskStatus":
        return cls(
            task_id=json["id"],
            group_id=json.get("groupId") or json["id"],
            type=json.get("type") or "",
            data_source=json["dataSource"],
            state=State(json["statusCode"]),
            is_waiting=json.get("runnerStatusCode") in {"PENDING", "WAITING"},
            created=json["createdTime"],
            duration=json.get("duration") or -1,
            error=json.get("errorMsg"),
        )


@dataclass(frozen=True, slots=True)
class RowStats:
    """`read` rows went into segments, `with_error` of them with a value that could not be read and is null there;
    `thrown_away` rows were outside the spec's intervals; `unparseable` ones could not be read at all.
    """

    read: int = 0
    bytes: int = 0
    with_error: int = 0
    thrown_away: int = 0
    unparseable: int = 0


@dataclass(frozen=True, slots=True)
class RowError:
    """`where`, if it is known, is a file and a line; `line` the row as Druid shows it; `message` Druid's own words."""

    line: str
    message: str
    where: str = ""

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{where}{self.message}" + ("" if self.line in self.message else f"\n    {self.line}")


@dataclass(frozen=True, slots=True)
class Report:
    """A task's report; of a running one, what it knows so far."""

    rows: RowStats = RowStats()
    row_errors: tuple[RowError, ...] = ()
    segments: int | None = None
    error: str | None = None

    @classmethod
    def parse(cls, json: Json) -> "Report":
        payload = (json.get("ingestionStatsAndErrors") or {}).get("payload") or {}
        totals = ((payload.get("rowStats") or {}).get("totals") or {}).get("buildSegments") or {}
        errors = (payload.get("unparseableEvents") or {}).get("buildSegments") or []
        return cls(
            rows=RowStats(
                # Druid counts a row with an unreadable value as read with error, and not as processed.
                read=totals.get("processed", 0) + totals.get("processedWithError", 0),
                bytes=totals.get("processedBytes", 0),
                with_error=totals.get("processedWithError", 0),
                thrown_away=totals.get("thrownAway", 0),
                unparseable=totals.get("unparseable", 0),
            ),
            row_errors=tuple(RowError(str(e.get("input")), " ".join(e.get("details") or [])) for e in errors),
            segments=payload.get("segmentsPublished"),
            error=payload.get("errorMsg"),
        )


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """`interval` as Druid writes it; `version` compares as text. A tombstone has no rows: it hides what was there."""

    interval: str
    version: str
    partition: int
    bytes: int = field(compare=False)
    is_tombstone: bool = field(compare=False, default=False)

    @classmethod
    def stored(cls, json: Json) -> "Segment":
        """As the coordinator lists it from the metadata store."""
        shard = json.get("shardSpec") or {}
        tombstone = shard.get("type") == "tombstone"
        return cls(
            json["interval"],
            json["version"],
            shard.get("partitionNum", 0),
            0 if tombstone else json.get("size", 0),
            tombstone,
        )

    @classmethod
    def queried(cls, json: Json) -> "Segment":
        """As the broker lists what a query would read."""
        return cls(json["interval"], json["version"], json["partitionNumber"], json.get("size", 0))


def served(published: Iterable[Segment], queried: Iterable[Segment]) -> int:
    """How many of the published segments the broker answers with: each is there, or its interval has newer ones, and
    nothing older is read any more in its interval.
    """
    now = set(queried)
    oldest: dict[str, str] = {}
    for segment in now:
        oldest[segment.interval] = min(segment.version, oldest.get(segment.interval, segment.version))
    count = 0
    for segment in published:
        version = oldest.get(segment.interval)
        if version is None:
            count += segment.is_tombstone
        elif version == segment.version:
            count += segment in now
        else:
            count += version > segment.version
    return count
