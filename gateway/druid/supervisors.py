"""Kafka supervisors as Druid's overlord describes them. Pure.

The shapes are those of Druid 33: https://druid.apache.org/docs/33.0.0/ingestion/supervisor
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.druid.tasks import Json, RowStats

TASK_TYPE = "index_kafka"


@dataclass(frozen=True, slots=True)
class Supervisor:
    """`lag` is the number of rows in Kafka that Druid had not read at `lag_known_at`; None if Druid does not know it.

    `reading_since` is None until a task has reported its position in the topic.
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
        # Druid reports a lag of 0 also when it does not know the partitions' offsets.
        lag_is_known = bool(payload.get("latestOffsets")) and not payload.get("suspended")
        # A task reports its offsets a few seconds after it has begun to read.
        started = [task["startTime"] for task in active if task.get("currentOffsets") and task.get("startTime")]
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
            reading_since=datetime.fromisoformat(min(started)) if started else None,
            errors=tuple(_error(error) for error in payload.get("recentErrors") or []),
        )


@dataclass(frozen=True, slots=True)
class Throughput:
    """Rows that the running tasks have read since they started, and rows per second over the last minute."""

    rows: RowStats
    rows_per_second: float

    @classmethod
    def parse(cls, json: Json) -> "Throughput":
        tasks = [stats for group in json.values() for stats in group.values() if stats]
        totals = [(stats.get("totals") or {}).get("buildSegments") or {} for stats in tasks]
        minute = [((stats.get("movingAverages") or {}).get("buildSegments") or {}).get("1m") or {} for stats in tasks]
        return cls(
            rows=sum((RowStats.parse(each) for each in totals), RowStats()),
            rows_per_second=sum(m.get("processed", 0.0) + m.get("processedWithError", 0.0) for m in minute),
        )


def exists(history: Sequence[Json]) -> bool:
    """Return whether a supervisor with this history of stored specs, newest first, exists.

    Druid stores the termination of a supervisor as a spec of type `noop`.
    """
    return bool(history) and history[0]["spec"].get("type") != "noop"


def _error(error: Json) -> str:
    return str(error.get("message") or error.get("exceptionClass") or error)
