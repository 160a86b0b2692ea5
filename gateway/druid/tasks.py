"""Tasks and their reports as Druid's overlord describes them. Pure.

The shapes are those of Druid 33: https://druid.apache.org/docs/33.0.0/ingestion/tasks
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Json = Mapping[str, Any]


class State(Enum):
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class Phase(Enum):
    """What an ingestion is doing, in order; `value` is the text for people."""

    CHECKING = "checking rows"
    WAITING = "waiting for a free slot"
    PARTITIONING = "determining partitions"
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
    """`created` is Druid's timestamp; it compares as text with the versions of segments.

    `duration` is in milliseconds, -1 if unknown.
    """

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
        """The phase that a subtask belongs to. A supervising task has none."""
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
    """`read` rows are in segments; `with_error` of them have a value that Druid could not read and stored as null.

    `thrown_away` rows are outside the spec's intervals. Druid could not parse the `unparseable` ones at all.
    """

    read: int = 0
    bytes: int = 0
    with_error: int = 0
    thrown_away: int = 0
    unparseable: int = 0

    @classmethod
    def parse(cls, totals: Json) -> "RowStats":
        return cls(
            # Druid does not count a row with an unreadable value as processed, but stores it.
            read=totals.get("processed", 0) + totals.get("processedWithError", 0),
            bytes=totals.get("processedBytes", 0),
            with_error=totals.get("processedWithError", 0),
            thrown_away=totals.get("thrownAway", 0),
            unparseable=totals.get("unparseable", 0),
        )

    def __add__(self, other: "RowStats") -> "RowStats":
        return RowStats(
            self.read + other.read,
            self.bytes + other.bytes,
            self.with_error + other.with_error,
            self.thrown_away + other.thrown_away,
            self.unparseable + other.unparseable,
        )


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be ingested. `where` is its file, line and column, if they are known."""

    line: str
    message: str
    where: str = ""

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        row = f"\n    {self.line}" if self.line and self.line not in self.message else ""
        return f"{where}{self.message}{row}"

    @classmethod
    def parse(cls, json: Json) -> "RowError":
        return cls(str(json.get("input")), " ".join(json.get("details") or []))


@dataclass(frozen=True, slots=True)
class Report:
    """A task's report. While the task runs, it contains what is known so far."""

    rows: RowStats = RowStats()
    row_errors: tuple[RowError, ...] = ()
    segments: int | None = None
    error: str | None = None

    @classmethod
    def parse(cls, json: Json) -> "Report":
        payload = (json.get("ingestionStatsAndErrors") or {}).get("payload") or {}
        stats = payload.get("rowStats") or {}
        # A task that does all work itself, without subtasks, reports no totals.
        totals = (stats.get("totals") or stats).get("buildSegments") or {}
        errors = (payload.get("unparseableEvents") or {}).get("buildSegments") or []
        return cls(
            rows=RowStats.parse(totals),
            row_errors=tuple(RowError.parse(error) for error in errors),
            segments=payload.get("segmentsPublished"),
            error=payload.get("errorMsg"),
        )
