"""What can go wrong with an ingestion, each with a text for the person who started it."""

from collections.abc import Sequence

from gateway.ingest.batch.reports import RowError, TaskStatus


class IngestError(Exception):
    """An ingestion that cannot begin, or did not end well. The text says what to do."""


class Unreachable(IngestError):
    """One of Druid's services does not answer, or not as itself."""


class InvalidSpec(IngestError):
    """The spec does not make the data set that the gateway serves; nothing was sent to Druid."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{name} was not sent to Druid:", *(f"  - {problem}" for problem in problems)]))


class EmptyInput(IngestError):
    """There is not one row to ingest. Druid would take that as success and replace what is served by nothing."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"There are no rows in {source}: ingesting it would empty the spec's intervals. Nothing was sent."
        )


class RejectedSpec(IngestError):
    """Druid refused the spec."""


class LostTask(IngestError):
    """Druid knows no task with that id."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(
            f"Druid knows no task {task_id}. 'gateway ingest list' shows those it knows; a task that was accepted and "
            "then lost (Druid's metadata is gone, say) changed nothing that is served, and can be started again."
        )


class FailedTask(IngestError):
    """The task ended without success. What was served before still is."""

    def __init__(self, status: TaskStatus, reason: str, row_errors: Sequence[RowError] = (), hint: str = "") -> None:
        self.status = status
        self.reason = reason
        self.row_errors = tuple(row_errors)
        super().__init__(
            f"Task {status.task_id} failed, and nothing that is served changed: {reason}."
            + (f"\n{hint}" if hint else "")
        )


class NotServed(IngestError):
    """The task succeeded, but its segments do not answer queries yet."""


class UnknownStream(IngestError):
    """Druid has no supervisor of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Druid has no stream {name}. 'gateway ingest stream list' shows those it has.")


class FailedStream(IngestError):
    """A stream was started, and does not read. Druid goes on trying."""
