"""What Druid tells about streams, as values. Pure; shapes as Druid 33 sends them.

A supervisor's own word is not enough: it says RUNNING and healthy, with a lag of 0, while each task that it starts
fails at once. What shows it are the tasks that failed, and a lag that nobody works off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import takewhile
from typing import Any

from gateway.ingest.batch.reports import RowError, RowStats, State, TaskStatus

Json = Mapping[str, Any]

STREAM_TASK = "index_kafka"
# A task that has read for so long is one that works, whatever happened to those before it.
SETTLED = timedelta(seconds=30)
# One task may fail with the server that it ran on; of the next ones none should.
FAILURES = 2


class Condition(Enum):
    """What a stream is doing; `value` is for people."""

    STARTING = "starting"
    READING = "reading"
    SUSPENDED = "suspended"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Supervisor:
    """`lag`: rows that Kafka has and Druid has not, some seconds ago (`lag_known_at`); None: Druid does not know.

    `reading_since` is None without a task that has reported where it is in the topic.
    """

    name: str
    topic: str
    detail: str
    is_healthy: bool
    is_suspended: bool
    lag: int | None
    lag_known_at: str | None
    reading: tuple[str, ...]
    publishing: tuple[str, ...]
    reading_since: datetime | None
    errors: tuple[str, ...]

    @classmethod
    def parse(cls, json: Json) -> "Supervisor":
        payload = json["payload"]
        active = payload.get("activeTasks") or []
        # Without a partition's offsets the lag is said to be 0, too.
        lag_is_known = bool(payload.get("latestOffsets")) and not payload.get("suspended")
        # A task tells its offsets a few seconds after it began to read.
        begun = [task["startTime"] for task in active if task.get("currentOffsets") and task.get("startTime")]
        return cls(
            name=json["id"],
            topic=payload["stream"],
            detail=payload["detailedState"],
            is_healthy=payload["healthy"],
            is_suspended=payload["suspended"],
            lag=payload.get("aggregateLag") if lag_is_known else None,
            lag_known_at=payload.get("offsetsLastUpdated") if lag_is_known else None,
            reading=tuple(task["id"] for task in active),
            publishing=tuple(task["id"] for task in payload.get("publishingTasks") or []),
            reading_since=datetime.fromisoformat(min(begun)) if begun else None,
            errors=tuple(_error(error) for error in payload.get("recentErrors") or []),
        )


@dataclass(frozen=True, slots=True)
class Throughput:
    """Of the tasks that run: rows since each began, and rows a second over the last minute."""

    rows: RowStats
    rows_per_second: float

    @classmethod
    def parse(cls, json: Json) -> "Throughput":
        tasks = [stats for group in json.values() for stats in group.values() if stats]
        totals = [(stats.get("totals") or {}).get("buildSegments") or {} for stats in tasks]
        minute = [((stats.get("movingAverages") or {}).get("buildSegments") or {}).get("1m") or {} for stats in tasks]
        return cls(
            rows=RowStats(
                read=sum(t.get("processed", 0) + t.get("processedWithError", 0) for t in totals),
                bytes=sum(t.get("processedBytes", 0) for t in totals),
                with_error=sum(t.get("processedWithError", 0) for t in totals),
                thrown_away=sum(t.get("thrownAway", 0) for t in totals),
                unparseable=sum(t.get("unparseable", 0) for t in totals),
            ),
            rows_per_second=sum(m.get("processed", 0.0) + m.get("processedWithError", 0.0) for m in minute),
        )


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream as it was `at` a moment. `failed`: its tasks that failed since the last one that did not, newest first;
    `failed_in_all`: how many did of those that Druid still lists.
    """

    supervisor: Supervisor
    throughput: Throughput
    failed: tuple[TaskStatus, ...]
    failed_in_all: int
    row_errors: tuple[RowError, ...]
    at: datetime

    @classmethod
    def of(
        cls,
        supervisor: Supervisor,
        throughput: Throughput,
        tasks: Sequence[TaskStatus],
        row_errors: Sequence[RowError],
        at: datetime,
    ) -> "StreamStatus":
        """`tasks` of this stream, newest first."""
        ended = [task for task in tasks if task.state is not State.RUNNING]
        failed = tuple(takewhile(lambda task: task.state is State.FAILED, ended))
        all_failed = sum(task.state is State.FAILED for task in ended)
        return cls(supervisor, throughput, failed, all_failed, tuple(row_errors), at)

    @property
    def condition(self) -> Condition:
        supervisor = self.supervisor
        if supervisor.is_suspended:
            return Condition.SUSPENDED
        since = supervisor.reading_since
        works = since is not None and self.at - since >= SETTLED
        if not supervisor.is_healthy or (len(self.failed) >= FAILURES and not works):
            return Condition.FAILING
        return Condition.STARTING if since is None else Condition.READING

    @property
    def reason(self) -> str:
        """Why it fails, in Druid's words; empty when Druid has none."""
        if self.failed and self.failed[0].error:
            return self.failed[0].error
        return self.supervisor.errors[-1] if self.supervisor.errors else ""

    def as_json(self) -> dict[str, Any]:
        """For other programs: one flat object, numbers as numbers."""
        supervisor, rows = self.supervisor, self.throughput.rows
        return {
            "time": self.at.isoformat(timespec="milliseconds"),
            "stream": supervisor.name,
            "topic": supervisor.topic,
            "condition": self.condition.value,
            "druid_state": supervisor.detail,
            "lag": supervisor.lag,
            "lag_known_at": supervisor.lag_known_at,
            "rows": rows.read,
            "rows_per_second": round(self.throughput.rows_per_second, 2),
            "unparseable": rows.unparseable,
            "with_error": rows.with_error,
            "thrown_away": rows.thrown_away,
            "tasks_reading": len(supervisor.reading),
            "tasks_publishing": len(supervisor.publishing),
            "tasks_failed_in_a_row": len(self.failed),
            "tasks_failed": self.failed_in_all,
            "reason": self.reason or None,
        }


def parse_errors(json: Sequence[Json]) -> tuple[RowError, ...]:
    return tuple(RowError(str(error.get("input")), " ".join(error.get("details") or [])) for error in json)


def is_current(history: Sequence[Json]) -> bool:
    """Whether the newest of a supervisor's stored specs is one: what ended a supervisor is stored as one of no work."""
    return bool(history) and history[0]["spec"].get("type") != "noop"


def _error(error: Json) -> str:
    return str(error.get("message") or error.get("exceptionClass") or error)
