"""A stream's condition, derived from Druid's responses. The JSON is what Druid 33.0.0 sent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.druid.supervisors import Supervisor, Throughput, exists
from gateway.druid.tasks import RowError, State, TaskStatus
from gateway.ingest.stream.display import Lags, line
from gateway.ingest.stream.status import Condition, StreamStatus

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAYLOAD: dict[str, Any] = {
    "dataSource": "chat_sessions",
    "stream": "chats",
    "activeTasks": [],
    "publishingTasks": [],
    "minimumLag": {},
    "aggregateLag": 0,
    "suspended": False,
    "healthy": True,
    "state": "RUNNING",
    "detailedState": "RUNNING",
    "recentErrors": [],
}
READING = {
    "activeTasks": [
        {
            "id": "t1",
            "startTime": "2026-01-01T12:00:00.000Z",
            "type": "ACTIVE",
            "currentOffsets": {"0": 66},
            "lag": {"0": 3},
        }
    ],
    "latestOffsets": {"0": 69},
    "aggregateLag": 3,
    "offsetsLastUpdated": "2026-01-01T12:00:10.000Z",
}
IDLE = Throughput.parse({})


def supervisor(**changes: Any) -> Supervisor:
    return Supervisor.parse({"id": "chat_sessions", "payload": {**PAYLOAD, **changes}})


def task(state: State, error: str | None = None) -> TaskStatus:
    return TaskStatus("t", "t", "index_kafka", "chat_sessions", state, False, "2026-01-01T12:00:00.000Z", 1, error)  # noqa: FBT003


def status(of: Supervisor, *tasks: TaskStatus, seconds: float = 10) -> StreamStatus:
    return StreamStatus.of(of, IDLE, tasks, (), BEGAN + timedelta(seconds=seconds))


FAILED = task(State.FAILED, "Failed with exception [null]")


def test_a_stream_is_reading_if_a_task_has_reported_its_offsets() -> None:
    reading = supervisor(**READING)
    assert (reading.topic, reading.lag, reading.reading, reading.reading_since) == ("chats", 3, ("t1",), BEGAN)
    assert status(reading).condition is Condition.READING


def test_the_lag_is_unknown_while_druid_knows_no_offsets() -> None:
    assert supervisor().lag is None
    assert supervisor(suspended=True, latestOffsets={"0": 1}).lag is None


@pytest.mark.parametrize(
    ("of", "tasks", "seconds", "condition"),
    [
        (supervisor(), (), 0, Condition.STARTING),
        (supervisor(suspended=True), (FAILED, FAILED), 0, Condition.SUSPENDED),
        (supervisor(healthy=False), (), 0, Condition.FAILING),
        (supervisor(), (FAILED,), 0, Condition.STARTING),
        # Druid reports RUNNING and healthy.
        (supervisor(), (FAILED, FAILED), 0, Condition.FAILING),
        # A task that fails at a certain row reads for a moment.
        (supervisor(**READING), (FAILED, FAILED), 10, Condition.FAILING),
        (supervisor(**READING), (FAILED, FAILED), 40, Condition.READING),
        # The server was killed: one task failed, and the next one works.
        (supervisor(**READING), (FAILED, task(State.SUCCESS), FAILED), 10, Condition.READING),
        (supervisor(**READING), (task(State.RUNNING), task(State.SUCCESS), FAILED, FAILED), 10, Condition.READING),
    ],
)
def test_the_condition_takes_failed_tasks_into_account(
    of: Supervisor, tasks: tuple[TaskStatus, ...], seconds: float, condition: Condition
) -> None:
    assert status(of, *tasks, seconds=seconds).condition is condition


def test_the_reason_is_the_newest_task_s_or_the_supervisor_s() -> None:
    assert status(supervisor(), FAILED, task(State.FAILED, "older")).reason == "Failed with exception [null]"
    unreachable = supervisor(recentErrors=[{"exceptionClass": "TimeoutException", "message": "no Kafka"}])
    assert status(unreachable).reason == "no Kafka"


def test_throughput_is_the_sum_over_all_tasks() -> None:
    stats = {
        "movingAverages": {"buildSegments": {"1m": {"processed": 1.5, "processedWithError": 0.5}}},
        "totals": {
            "buildSegments": {
                "processed": 10, "processedBytes": 100, "processedWithError": 1, "thrownAway": 2, "unparseable": 3,
            }
        },
    }  # fmt: skip
    both = Throughput.parse({"0": {"t1": stats}, "1": {"t2": stats}})
    assert (both.rows.read, both.rows.unparseable, both.rows_per_second) == (22, 6, 4.0)


def test_a_row_error_has_the_row_and_druids_message() -> None:
    error = RowError.parse({"input": "not json", "errorType": "unparseable", "details": ["Unable to parse row"]})
    assert (error.line, error.message) == ("not json", "Unable to parse row")


def test_a_lag_grows_if_each_of_druids_last_values_is_larger() -> None:
    lags = Lags()
    reading = status(supervisor(**READING))
    for second, lag in enumerate((3, 3, 5, 8)):
        changed = replace(reading.supervisor, lag=lag, lag_known_at=str(second))
        lags.add(replace(reading, supervisor=changed))
        # The same value again: Druid has not determined the lag again.
        lags.add(replace(reading, supervisor=changed))
        assert not lags.grow
    lags.add(replace(reading, supervisor=replace(reading.supervisor, lag=9, lag_known_at="4")))
    assert lags.grow


def test_a_log_line_has_the_condition_the_lag_and_the_reason() -> None:
    text = line(status(supervisor(), FAILED, FAILED))
    assert text.startswith("2026-01-01T12:00:10.000+00:00 chat_sessions failing lag=? ")
    assert text.endswith('failed_tasks=2 "Failed with exception [null]"')


@pytest.mark.parametrize(
    ("newest_first", "expected"),
    [
        ([{"type": "kafka", "suspended": True}, {"type": "kafka", "suspended": False}], True),
        (
            [
                {"type": "noop", "id": None, "dataSources": ["x"], "suspended": False, "source": "noop"},
                {"type": "kafka"},
            ],
            False,
        ),
        ([], False),
    ],
)
def test_a_supervisor_exists_until_it_is_terminated(newest_first: list[Any], expected: bool) -> None:  # noqa: FBT001
    assert exists([{"spec": spec, "version": "2026-01-01"} for spec in newest_first]) is expected
