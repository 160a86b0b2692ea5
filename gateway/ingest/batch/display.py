"""Ingestions as people see them in a terminal, or in a log when there is none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table

from gateway.ingest.batch.ingestion import Progress, Summary
from gateway.ingest.batch.reports import Phase, Report, RowError, State, TaskStatus

_STYLES = {State.RUNNING: "cyan", State.SUCCESS: "green", State.FAILED: "red"}


@contextmanager
def progress_bar(console: Console) -> Iterator["ProgressBar"]:
    """A bar of the phase; without a terminal, a line a phase."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        yield ProgressBar(console, bars)


class ProgressBar:
    """Call it with each Progress."""

    def __init__(self, console: Console, bars: Bars) -> None:
        self._console = console
        self._bars = bars
        self._bar: TaskID | None = None
        self._phase: Phase | None = None

    def __call__(self, progress: Progress) -> None:
        if self._bar is None:
            self._console.print(f"Task {progress.task_id}", highlight=False)
            self._bar = self._bars.add_task("", total=None, detail="")
        if progress.phase is not self._phase and not self._console.is_terminal:
            self._console.print(progress.phase.value)
        self._phase = progress.phase
        done, total = (
            (progress.segments, progress.segments_total)
            if progress.phase is Phase.LOADING
            else (progress.bytes_read, progress.bytes_total)
        )
        self._bars.update(
            self._bar,
            description=progress.phase.value,
            completed=done,
            total=total or None,
            detail=_detail(progress),
        )


def _detail(progress: Progress) -> str:
    if progress.phase is Phase.LOADING:
        return f"{progress.segments} of {progress.segments_total} segments"
    total = f" of {decimal(progress.bytes_total)}" if progress.bytes_total else ""
    return f"{decimal(progress.bytes_read)}{total}, {progress.rows:,} rows"


def summary(console: Console, result: Summary) -> None:
    rows = result.rows
    table = Table(title=f"{result.data_source} answers with these rows", show_header=False, title_justify="left")
    table.add_row("rows read", f"{rows.read:,}")
    table.add_row("thrown away, outside the intervals", f"{rows.thrown_away:,}")
    table.add_row("unparseable", f"{rows.unparseable:,}")
    if rows.with_error:
        table.add_row("with a value that could not be read", f"{rows.with_error:,}")
    table.add_row("segments", f"{result.segments:,}, {decimal(result.bytes)}")
    table.add_row("time", f"{result.seconds:.1f} s")
    console.print(table)
    row_errors(console, result.row_errors)


def row_errors(console: Console, errors: Sequence[RowError]) -> None:
    if errors:
        console.print("Rows that Druid cannot read (ten at most are shown):")
    for error in errors:
        console.print(f"  {escape(str(error))}", highlight=False, soft_wrap=True)


def status(console: Console, task: TaskStatus, phase: Phase | None, report: Report | None) -> None:
    table = Table(title=task.task_id, show_header=False, title_justify="left")
    table.add_row("data source", task.data_source)
    table.add_row("state", _state(task, phase))
    table.add_row("started", task.created)
    if report is not None:
        rows = report.rows
        table.add_row("rows read", f"{rows.read:,} ({decimal(rows.bytes)})")
        table.add_row("thrown away, outside the intervals", f"{rows.thrown_away:,}")
        table.add_row("unparseable", f"{rows.unparseable:,}")
        if report.segments is not None:
            table.add_row("segments published", f"{report.segments:,}")
    if task.error:
        table.add_row("error", escape(task.error))
    console.print(table)
    if report is not None:
        row_errors(console, report.row_errors)


def listing(console: Console, tasks: Sequence[TaskStatus]) -> None:
    table = Table(Column("task", no_wrap=True), "data source", "state", "started", "seconds", box=None)
    for task in tasks:
        seconds = f"{task.duration / 1000:.1f}" if task.duration >= 0 else ""
        table.add_row(task.task_id, task.data_source, _state(task, None), task.created[:19], seconds)
    # Ids are there to be copied: a narrow terminal wraps lines rather than lose a part of one.
    console.print(table, width=max(console.width, 120))


def _state(task: TaskStatus, phase: Phase | None) -> str:
    text = task.state.value.lower()
    if task.state is State.RUNNING:
        text = Phase.WAITING.value if task.is_waiting else f"{text}: {phase.value}" if phase else text
    return f"[{_STYLES[task.state]}]{text}[/]"
