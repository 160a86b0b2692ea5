"""One batch ingestion: check the files, submit the task, follow it, wait until queries read its segments.

Druid publishes all segments of a task in one transaction or none. It switches a time chunk from old to new segments in
one step, when all new ones are loaded. So no query sees a mixture of both, whatever fails here.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import stamina

from gateway.druid.api.broker import NoAnswer
from gateway.druid.api.http import ServiceError, ServiceUnreachable, UnexpectedStatus
from gateway.druid.api.overlord import Unavailable, UnknownTask
from gateway.druid.segments import Segment
from gateway.druid.tasks import Phase, Report, RowError, RowStats, State, TaskStatus
from gateway.errors import InvalidDruidResponse
from gateway.ingest.batch.file_server import ServeAddress, ServedFiles, serve
from gateway.ingest.batch.row_files import Check, CheckedFiles, checked
from gateway.ingest.batch.served import served
from gateway.ingest.batch.spec import BatchSpec
from gateway.ingest.clients import Clients, DruidUrls, connect
from gateway.ingest.errors import EmptyInput, FailedTask, IngestError, NotServed, WrongRowCount

_POLL = 0.5
_BROKER_SECONDS = 60
_LOOPBACK = ServeAddress()
PATIENTLY = stamina.AsyncRetryingCaller(attempts=None, timeout=120, wait_initial=0.5, wait_max=5).on(
    (ServiceUnreachable, UnexpectedStatus, Unavailable)
)
"""Retries for two minutes. A coordinator that was killed leads again after about 33 seconds."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`bytes_total` is None when Druid reads the input itself. It counts local files once for each pass of Druid.

    Druid reports `rows` of a part of the input only when it has read that part completely.
    """

    task_id: str
    phase: Phase
    rows: int = 0
    bytes_read: int = 0
    bytes_total: int | None = None
    segments: int = 0
    segments_total: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """`skipped` rows of the files were not valid. `segments` are those with rows; `bytes` is their size.

    `seconds` passed until queries read the segments.
    """

    task_id: str
    data_source: str
    rows: RowStats
    row_errors: tuple[RowError, ...]
    skipped: int
    segments: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Input:
    """Files that are checked and served to Druid."""

    checked: CheckedFiles
    served: ServedFiles


async def ingest(  # noqa: PLR0913 - most have a default that is right
    spec: BatchSpec,
    urls: DruidUrls,
    *,
    files: Sequence[Path] = (),
    skip_bad_rows: bool = False,
    serve_address: ServeAddress = _LOOPBACK,
    data_source: str | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    load_seconds: float = 600,
) -> Summary:
    """Replace `spec.intervals` with rows of `files` or of the spec's input source; return when queries read them.

    Cancels the task if it is cancelled itself. Raises IngestError and ServiceError.
    """
    started = time.monotonic()
    target = data_source or spec.data_source
    task_id = new_task_id(target)

    def checking(check: Check) -> None:
        on_progress(Progress(task_id, Phase.CHECKING, check.rows, check.bytes_read, check.bytes_total))

    async with connect(urls) as druid, _input(spec, files, serve_address, checking, skip_bad_rows) as source:
        if source is None:
            await _reject_empty_source(druid, spec)
        run = _Run(druid, spec, task_id, target, source, on_progress)
        status, report = await run.to_its_end(
            spec.submission(task_id, data_source, source.served.uris if source else ())
        )
        if status.state is not State.SUCCESS:
            raise await run.failure(status, report)
        published = await run.wait_until_served(status, report, load_seconds)
        run.check_row_count(report)
    return Summary(
        task_id=task_id,
        data_source=target,
        rows=report.rows,
        row_errors=source.checked.skipped_errors if source else report.row_errors,
        skipped=source.checked.skipped if source else 0,
        segments=sum(not segment.is_tombstone for segment in published),
        bytes=sum(segment.size for segment in published),
        seconds=time.monotonic() - started,
    )


async def submit(spec: BatchSpec, urls: DruidUrls, *, data_source: str | None = None) -> str:
    """Start an ingestion from the spec's input source, and return the task's id. Raises IngestError, ServiceError."""
    task_id = new_task_id(data_source or spec.data_source)
    async with connect(urls) as druid:
        await _reject_empty_source(druid, spec)
        await druid.overlord.submit(task_id, spec.submission(task_id, data_source))
    return task_id


def new_task_id(data_source: str) -> str:
    """Return an id of our own, so that a repeated submission does not start a second task."""
    return f"gateway_{data_source}_{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}_{secrets.token_hex(4)}"


async def _reject_empty_source(druid: Clients, spec: BatchSpec) -> None:
    """To Druid a missing path is an empty input source, and it would replace the existing data by nothing."""
    if not await druid.overlord.sample(spec.sampler(1)):
        raise EmptyInput(f"the input source of {spec.name}, as Druid's overlord sees it")


@asynccontextmanager
async def _input(
    spec: BatchSpec,
    files: Sequence[Path],
    address: ServeAddress,
    on_progress: Callable[[Check], None],
    skip_bad_rows: bool,  # noqa: FBT001 - passed on as it is
) -> AsyncIterator[_Input | None]:
    if not files:
        yield None
        return
    if spec.rows is None:
        raise ValueError("the spec was parsed without brings_files")
    async with (
        checked(files, spec.rows, skip_bad_rows=skip_bad_rows, on_progress=on_progress) as found,
        serve(found.files, address) as server,
    ):
        yield _Input(found, server)


@dataclass(frozen=True, slots=True)
class _Run:
    """A task from its submission until queries read its segments."""

    druid: Clients
    spec: BatchSpec
    task_id: str
    data_source: str
    source: _Input | None
    on_progress: Callable[[Progress], None]

    async def to_its_end(self, submission: bytes) -> tuple[TaskStatus, Report]:
        """Submit the task and follow it. The task is cancelled if this is cancelled, also during the submission."""
        try:
            await self.druid.overlord.submit(self.task_id, submission)
            self.on_progress(Progress(self.task_id, Phase.WAITING))
            status = await self._follow()
            return status, await PATIENTLY(self.druid.overlord.report, self.task_id) or Report()
        except asyncio.CancelledError:
            await self._cancel()
            raise

    async def _cancel(self) -> None:
        try:
            await self.druid.overlord.cancel(self.task_id)
        except UnknownTask:
            # The submission did not arrive.
            return
        except ServiceError as error:
            raise IngestError(
                f"Task {self.task_id} could not be cancelled and may be running: {error} "
                f"Cancel it later: gateway ingest cancel {self.task_id}"
            ) from error

    async def _follow(self) -> TaskStatus:
        overlord, served_files = self.druid.overlord, self.source.served if self.source else None
        total = served_files.size * self.spec.passes if served_files else None
        progress = Progress(self.task_id, Phase.WAITING, bytes_total=total)
        while (status := await PATIENTLY(overlord.status, self.task_id)).state is State.RUNNING:
            running = await PATIENTLY(overlord.tasks, self.data_source, running=True)
            phases = [task.phase for task in running if task.group_id == self.task_id and task.phase is not None]
            report = await PATIENTLY(overlord.report, self.task_id) or Report()
            progress = replace(
                progress,
                phase=phases[0] if phases else progress.phase,
                rows=report.rows.read,
                bytes_read=min(served_files.sent, total or 0) if served_files else report.rows.bytes,
            )
            self.on_progress(progress)
            await asyncio.sleep(_POLL)
        return status

    async def failure(self, status: TaskStatus, report: Report) -> FailedTask:
        """Return why the task failed, as far as Druid and the file server know."""
        tasks = await PATIENTLY(self.druid.overlord.tasks, self.data_source, most=100)
        subtasks = [task for task in tasks if task.group_id == self.task_id and task.task_id != self.task_id]
        reason = "; ".join(dict.fromkeys(task.error for task in subtasks if task.error))
        reason = reason or report.error or status.error or "Druid gives no reason. See the log of its indexer"
        hint = ""
        if self.source and self.source.served.changed:
            hint = (
                f"{self.source.served.changed[0]} changed after it was checked. Do not change it, and ingest it again."
            )
        elif self.source and not self.source.served.sent:
            hint = (
                f"Druid did not fetch the files from {self.source.served.address}. Does Druid's indexer reach this "
                "machine at that address? Name another address with --serve-address."
            )
        return FailedTask(status, reason.rstrip("."), report.row_errors, hint)

    async def wait_until_served(self, status: TaskStatus, report: Report, seconds: float) -> list[Segment]:
        """Wait until queries read what the task published, and return it."""
        deadline = time.monotonic() + seconds
        intervals = self.spec.intervals
        while True:
            stored = await PATIENTLY(self.druid.coordinator.stored_segments, self.data_source, intervals)
            # A version is the time at which the task locked the interval, which is later than the task's creation.
            published = [segment for segment in stored if segment.version >= status.created]
            queried = await PATIENTLY(self._queried)
            count, total = served(published, queried), max(report.segments or 0, len(published))
            rows = report.rows
            self.on_progress(Progress(self.task_id, Phase.LOADING, rows.read, rows.bytes, None, count, total))
            if count == total:
                return published
            if time.monotonic() > deadline:
                raise NotServed(
                    f"Task {self.task_id} published {total} segments, but queries read only {count} of them after "
                    f"{seconds:.0f} s. Until they read all of a time chunk, they read its old data. Is a historical "
                    "running, and is its disk full?"
                )
            await asyncio.sleep(_POLL)

    async def _queried(self) -> list[Segment]:
        """Return the segments that queries of the intervals read now."""
        deadline = asyncio.get_running_loop().time() + _BROKER_SECONDS
        try:
            known = [
                await self.druid.broker.candidates(self.data_source, each, deadline) for each in self.spec.intervals
            ]
        except (NoAnswer, InvalidDruidResponse) as error:
            raise ServiceUnreachable(f"{self.druid.broker.name} did not respond with its segments.") from error
        return [each.segment for segments in known for each in segments if each.servers]

    def check_row_count(self, report: Report) -> None:
        """Raise WrongRowCount unless Druid stored every row of the files, or at least one of its own input source."""
        rows = report.rows
        if self.source is None:
            if not rows.read:
                raise WrongRowCount(self.task_id, "rows inside the intervals", _counts(rows))
        elif rows != RowStats(read=self.source.checked.rows, bytes=rows.bytes):
            raise WrongRowCount(self.task_id, f"{self.source.checked.rows:,} rows", _counts(rows))


def _counts(rows: RowStats) -> str:
    return (
        f"{rows.read:,} rows ({rows.with_error:,} of them with an unreadable value), {rows.thrown_away:,} outside the "
        f"intervals and {rows.unparseable:,} that it could not parse"
    )
