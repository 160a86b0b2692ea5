"""Whether a stream works, derived from its supervisor and its tasks. Pure.

The supervisor's own state is not enough: Druid reports RUNNING, healthy and a lag of 0 while every task fails as soon
as it starts. Failed tasks and a growing lag reveal it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import takewhile
from typing import Any, Final

from gateway.druid.supervisors import Supervisor, Throughput
from gateway.druid.tasks import RowError, State, TaskStatus

# A task that has read for this long works, whatever happened to the tasks before it.
_SETTLED: Final = timedelta(seconds=30)
# One task may fail because its server was restarted. The next ones must not.
_FAILURES: Final = 2


class Condition(Enum):
    """A stream's condition; `value` is the text for people."""

    STARTING = "starting"
    READING = "reading"
    SUSPENDED = "suspended"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream at the time `at`.

    `failed` are the tasks that failed since the last one that did not, newest first. `failed_in_all` is the number of
    failed tasks that Druid still lists.
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
        """`tasks` are those of this stream, newest first."""
        ended = [task for task in tasks if task.state is not State.RUNNING]
        failed = tuple(takewhile(lambda task: task.state is State.FAILED, ended))
        failed_in_all = sum(task.state is State.FAILED for task in ended)
        return cls(supervisor, throughput, failed, failed_in_all, tuple(row_errors), at)

    @property
    def condition(self) -> Condition:
        supervisor = self.supervisor
        if supervisor.is_suspended:
            return Condition.SUSPENDED
        since = supervisor.reading_since
        works = since is not None and self.at - since >= _SETTLED
        if not supervisor.is_healthy or (len(self.failed) >= _FAILURES and not works):
            return Condition.FAILING
        return Condition.STARTING if since is None else Condition.READING

    @property
    def reason(self) -> str:
        """Why the stream fails, in Druid's words; empty if Druid gives no reason."""
        if self.failed and self.failed[0].error:
            return self.failed[0].error
        return self.supervisor.errors[-1] if self.supervisor.errors else ""

    def as_json(self) -> dict[str, Any]:
        """Return one flat JSON object for other programs."""
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
