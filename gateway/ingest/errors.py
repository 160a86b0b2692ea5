"""Failures of an ingestion. Each text is for the person who started it, and says what to do."""

from collections.abc import Sequence
from pathlib import Path

from gateway.druid.tasks import RowError, TaskStatus


class IngestError(Exception):
    """An ingestion that cannot start or did not succeed."""


class InvalidSpec(IngestError):
    """The spec does not produce the data set that the gateway serves. Nothing was sent to Druid."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{name} was not sent to Druid:", *(f"  - {problem}" for problem in problems)]))


class UnreadableFile(IngestError):
    """A file of rows cannot be read to its end."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"Cannot ingest {path}: {problem}")


class InvalidRows(IngestError):
    """Files contain rows that cannot be ingested. Nothing was sent to Druid."""

    def __init__(self, row_errors: Sequence[RowError]) -> None:
        self.row_errors = tuple(row_errors)
        super().__init__(
            "Nothing was sent to Druid, because these rows are not valid. Correct them, or leave them out with "
            "--skip-bad-rows."
        )


class EmptyInput(IngestError):
    """The input has no rows. Druid would accept it and replace the existing data by nothing."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"There are no rows in {source}. Ingesting it would empty the spec's intervals, so nothing was sent."
        )


class FailedTask(IngestError):
    """The task failed. The data that was served before is still served."""

    def __init__(self, status: TaskStatus, reason: str, row_errors: Sequence[RowError] = (), hint: str = "") -> None:
        self.status = status
        self.reason = reason
        self.row_errors = tuple(row_errors)
        super().__init__(
            f"Task {status.task_id} failed, and no served data changed: {reason}." + (f"\n{hint}" if hint else "")
        )


class WrongRowCount(IngestError):
    """The task succeeded, but Druid stored another number of rows than the files contain."""

    def __init__(self, task_id: str, expected: str, reported: str) -> None:
        super().__init__(
            f"Task {task_id} succeeded, but its rows are not those of the input: expected {expected}, and Druid "
            f"reports {reported}. Reports on these intervals are wrong now. Ingest the previous files again, and keep "
            "this task's log."
        )


class NotServed(IngestError):
    """The task succeeded, but the broker does not use all of its segments yet."""


class FailedStream(IngestError):
    """A stream was started but does not read. Druid keeps trying."""
