"""One ingestion from spec to answering segments: submit, follow, wait until the broker reads what was published.

Druid publishes all segments of a task in one transaction, or none, and a time chunk changes from its old segments to
its new ones in one step once all of the new ones are loaded. So what is served is never mixed within a time chunk, and
never doubled, whatever fails here.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import stamina

from gateway.ingest.batch import row_errors
from gateway.ingest.batch.files import ServeAddress, ServedFiles, serve
from gateway.ingest.batch.reports import Phase, Report, RowError, RowStats, Segment, State, TaskStatus, served
from gateway.ingest.batch.spec import BatchSpec
from gateway.ingest.druid_client import Cluster, DruidClient, connect
from gateway.ingest.errors import EmptyInput, FailedTask, NotServed, Unreachable

POLL = 0.5
LOOPBACK = ServeAddress()
# Druid may be away for two minutes while a task is followed: its coordinator leads again 33 s after it was killed.
PATIENTLY = stamina.AsyncRetryingCaller(attempts=None, timeout=120, wait_initial=0.5, wait_max=5).on(Unreachable)


@dataclass(frozen=True, slots=True)
class Progress:
    """`bytes_total` is None when Druid reads from elsewhere; of local files it counts each reading (`spec.passes`).

    `rows` grows when a part of the input is done: Druid tells nothing of a part that it is reading.
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
    """`segments` counts those with rows, `bytes` is their size when served; `seconds` until they answered."""

    task_id: str
    data_source: str
    rows: RowStats
    row_errors: tuple[RowError, ...]
    segments: int
    bytes: int
    seconds: float


async def ingest(  # noqa: PLR0913 all but two have a default that is right
    spec: BatchSpec,
    cluster: Cluster,
    *,
    files: Sequence[Path] = (),
    serve_address: ServeAddress = LOOPBACK,
    data_source: str | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    load_seconds: float = 600,
) -> Summary:
    """Replace `spec.intervals` with the rows of `files`, or of the spec's own input source; return when they answer.

    Cancelled while Druid reads `files`, it cancels the task too, which could not go on without them.
    Raises IngestError.
    """
    started = time.monotonic()
    target = data_source or spec.data_source
    task_id = new_task_id(target)
    async with connect(cluster) as client, _serving(files, serve_address) as source:
        await _refuse_emptiness(client, spec, files)
        await client.submit(task_id, spec.submission(task_id, data_source, source.uris if source else ()))
        run = _Run(client, spec, task_id, target, files, source, on_progress)
        on_progress(Progress(task_id, Phase.WAITING))
        try:
            status = await run.follow()
        except asyncio.CancelledError:
            if source:
                await client.cancel(task_id)
            raise
        report = await PATIENTLY(client.report, task_id) or Report()
        if status.state is not State.SUCCESS:
            raise await run.failure(status, report)
        published = await run.wait_until_served(status, report, load_seconds)
    return Summary(
        task_id=task_id,
        data_source=target,
        rows=report.rows,
        row_errors=report.row_errors,
        segments=sum(not segment.is_tombstone for segment in published),
        bytes=sum(segment.bytes for segment in published),
        seconds=time.monotonic() - started,
    )


async def submit(spec: BatchSpec, cluster: Cluster, *, data_source: str | None = None) -> str:
    """Start an ingestion from the spec's own input source; return the task's id at once. Raises IngestError."""
    task_id = new_task_id(data_source or spec.data_source)
    async with connect(cluster) as client:
        await _refuse_emptiness(client, spec)
        await client.submit(task_id, spec.submission(task_id, data_source))
    return task_id


def new_task_id(data_source: str) -> str:
    """Ours, not Druid's, so that a submission can be repeated without starting a second task."""
    return f"gateway_{data_source}_{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}_{secrets.token_hex(4)}"


async def _refuse_emptiness(client: DruidClient, spec: BatchSpec, files: Sequence[Path] = ()) -> None:
    """A path that is not there is no error to Druid's local input source: it would replace what is served by nothing"""
    if files:
        if not await asyncio.to_thread(row_errors.have_rows, files):
            raise EmptyInput(", ".join(map(str, files)))
    elif not await client.sample(spec.sampler(1)):
        raise EmptyInput(f"the input source of {spec.name}, as Druid's overlord sees it")


@asynccontextmanager
async def _serving(files: Sequence[Path], address: ServeAddress) -> AsyncIterator[ServedFiles | None]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(serve(files, address)) if files else None


@dataclass(frozen=True, slots=True)
class _Run:
    """A submitted task."""

    client: DruidClient
    spec: BatchSpec
    task_id: str
    data_source: str
    files: Sequence[Path]
    source: ServedFiles | None
    on_progress: Callable[[Progress], None]

    async def follow(self) -> TaskStatus:
        """Until the task has ended, well or not."""
        total = self.source.size * self.spec.passes if self.source else None
        progress = Progress(self.task_id, Phase.WAITING, bytes_total=total)
        while (status := await PATIENTLY(self.client.status, self.task_id)).state is State.RUNNING:
            running = await PATIENTLY(self.client.tasks, self.data_source, running=True)
            phases = [task.phase for task in running if task.group_id == self.task_id and task.phase is not None]
            report = await PATIENTLY(self.client.report, self.task_id) or Report()
            progress = replace(
                progress,
                phase=phases[0] if phases else progress.phase,
                rows=report.rows.read,
                bytes_read=min(self.source.sent, total or 0) if self.source else report.rows.bytes,
            )
            self.on_progress(progress)
            await asyncio.sleep(POLL)
        return status

    async def failure(self, status: TaskStatus, report: Report) -> FailedTask:
        """What Druid says of the task and its subtasks, and, where that is only that rows are bad, which ones."""
        tasks = await PATIENTLY(self.client.tasks, self.data_source, most=100)
        subtasks = [task for task in tasks if task.group_id == self.task_id and task.task_id != self.task_id]
        reason = "; ".join(dict.fromkeys(task.error for task in subtasks if task.error))
        reason = reason or report.error or status.error or "Druid does not say why; its indexer's log does"
        errors = report.row_errors
        hint = ""
        if row_errors.SAYS_SO in reason:
            errors = errors or tuple(await row_errors.find(self.client, self.spec, self.files))
            hint = "Correct these rows and ingest again." if errors else "The indexer's log names the rows."
        if self.source and self.source.changed:
            hint = f"{self.source.changed[0]} was changed while Druid read it: leave it alone and ingest again."
        elif self.source and not self.source.sent:
            hint = (
                f"Druid fetched nothing from {self.source.uris[0].split('/')[2]}: is that an address of this machine "
                "that Druid's indexer reaches? Name another one with --serve-address."
            )
        return FailedTask(status, reason.rstrip("."), errors, hint)

    async def wait_until_served(self, status: TaskStatus, report: Report, seconds: float) -> list[Segment]:
        """Until the broker answers with what the task published, which is returned."""
        deadline = time.monotonic() + seconds
        intervals = self.spec.intervals
        while True:
            stored = await PATIENTLY(self.client.stored_segments, self.data_source, intervals)
            # A version is the moment in which the task locked the interval: later than the task itself.
            published = [segment for segment in stored if segment.version >= status.created]
            queried = await PATIENTLY(self.client.queried_segments, self.data_source, intervals)
            count, total = served(published, queried), max(report.segments or 0, len(published))
            rows = report.rows
            self.on_progress(Progress(self.task_id, Phase.LOADING, rows.read, rows.bytes, None, count, total))
            if count == total:
                return published
            if time.monotonic() > deadline:
                raise NotServed(
                    f"Task {self.task_id} published {total} segments, and only {count} answer after {seconds:.0f} s; "
                    "until the others do, what was there before is served. Is a historical running, with room left?"
                )
            await asyncio.sleep(POLL)
