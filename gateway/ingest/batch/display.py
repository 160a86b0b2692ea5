"""Batch ingestions on a terminal, or as lines of text without one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from gateway.druid.tasks import Phase, Report, RowError, State, TaskStatus
from gateway.ingest.batch.run import Progress, Summary
from gateway.ingest.terminal import markup, visible

_STYLES = {State.RUNNING: "cyan", State.SUCCESS: "green", State.FAILED: "red"}


@contextmanager
def progress_bar(console: Console) -> Iterator["ProgressBar"]:
    """Show the phase as a bar; without a terminal, as a line when it begins."""
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
            self._bar = self._bars.add_task("", total=None, detail="")
        if self._phase in {None, Phase.CHECKING} and progress.phase is not Phase.CHECKING:
            self._console.print(f"Task {markup(progress.task_id)}", highlight=False, soft_wrap=True)
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
    console.print(f"{markup(result.data_source)} now has these rows:", highlight=False, soft_wrap=True)
    table = Table(show_header=False)
    table.add_row("rows", f"{rows.read:,}")
    if result.skipped:
        table.add_row("skipped, not valid", f"[red]{result.skipped:,}[/]")
    if rows.thrown_away:
        table.add_row("left out, outside the intervals", f"[red]{rows.thrown_away:,}[/]")
    if rows.unparseable:
        table.add_row("left out, unparseable", f"[red]{rows.unparseable:,}[/]")
    if rows.with_error:
        table.add_row("with a value that was not readable", f"[red]{rows.with_error:,}[/]")
    table.add_row("segments", f"{result.segments:,}, {decimal(result.bytes)}")
    table.add_row("time", f"{result.seconds:.1f} s")
    console.print(table)
    row_errors(console, result.row_errors, most=len(result.row_errors), total=result.skipped)


def row_errors(console: Console, errors: Sequence[RowError], *, most: int = 10, total: int = 0) -> None:
    """List the errors, with a note if there are more than those."""
    for error in errors[:most]:
        console.print(f"  {markup(error)}", highlight=False, soft_wrap=True)
    if total > len(errors[:most]):
        console.print(f"  … and {total - len(errors[:most]):,} more", highlight=False)


def status(console: Console, task: TaskStatus, phase: Phase | None, report: Report | None) -> None:
    console.print(markup(task.task_id), highlight=False, soft_wrap=True)
    table = Table(show_header=False)
    table.add_row("data source", markup(task.data_source))
    table.add_row("state", f"[{_STYLES[task.state]}]{_state(task, phase)}[/]")
    table.add_row("started", markup(task.created))
    if report is not None:
        rows = report.rows
        table.add_row("rows read", f"{rows.read:,} ({decimal(rows.bytes)})")
        table.add_row("left out, outside the intervals", f"{rows.thrown_away:,}")
        table.add_row("left out, unparseable", f"{rows.unparseable:,}")
        if report.segments is not None:
            table.add_row("segments published", f"{report.segments:,}")
    if task.error:
        table.add_row("error", markup(task.error))
    console.print(table)
    if report is not None:
        row_errors(console, report.row_errors)


def listing(tasks: Sequence[TaskStatus]) -> None:
    """Print one line for each task, with its id last.

    An id is longer than a narrow terminal's columns, and must be copied as a whole: nothing is wrapped or cut.
    """
    for task in tasks:
        state = "waiting" if task.is_waiting and task.state is State.RUNNING else task.state.value.lower()
        seconds = f"{task.duration / 1000:.1f} s" if task.duration >= 0 else ""
        typer.secho(f"{state:8}", fg=_STYLES[task.state], nl=False)
        typer.echo(f"{seconds:>10}  {visible(task.task_id)}")


def _state(task: TaskStatus, phase: Phase | None) -> str:
    text = task.state.value.lower()
    if task.state is not State.RUNNING:
        return text
    if task.is_waiting:
        return Phase.WAITING.value
    return f"{text}: {phase.value}" if phase else text
