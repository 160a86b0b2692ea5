"""Streams as people see them in a terminal, and as a line each for logs and other programs."""

import json
from collections import deque
from collections.abc import Iterable
from itertools import pairwise

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table

from gateway.ingest.stream.reports import Condition, StreamStatus

_STYLES = {
    Condition.STARTING: "cyan",
    Condition.READING: "green",
    Condition.SUSPENDED: "yellow",
    Condition.FAILING: "bold red",
}
# So many different lags, each larger than the one before, are no accident.
GROWING = 4


class Lags:
    """The last lags that Druid told; it looks every few seconds, and is asked more often."""

    def __init__(self) -> None:
        self._last: deque[tuple[str, int]] = deque(maxlen=GROWING)

    def add(self, status: StreamStatus) -> None:
        when, lag = status.supervisor.lag_known_at, status.supervisor.lag
        if lag is None or when is None:
            self._last.clear()
        elif not self._last or self._last[-1][0] != when:
            self._last.append((when, lag))

    @property
    def grow(self) -> bool:
        lags = [lag for _, lag in self._last]
        return len(lags) == GROWING and all(a < b for a, b in pairwise(lags))


def panel(status: StreamStatus, *, lag_grows: bool = False) -> RenderableType:
    """A stream in full."""
    supervisor, rows = status.supervisor, status.throughput.rows
    table = Table(title=supervisor.name, show_header=False, title_justify="left")
    condition = status.condition
    table.add_row("condition", f"[{_STYLES[condition]}]{condition.value}[/] (Druid: {escape(supervisor.detail)})")
    table.add_row("topic", escape(supervisor.topic))
    table.add_row("rows behind (lag)", lag(status, lag_grows=lag_grows))
    table.add_row(
        "rows of the running tasks", f"{rows.read:,}, {status.throughput.rows_per_second:,.1f} a second of late"
    )
    if bad := rows.unparseable + rows.with_error:
        table.add_row("rows with errors", f"[red]{bad:,}[/], {rows.unparseable:,} of them left out")
    table.add_row("tasks", f"{len(supervisor.reading)} reading, {len(supervisor.publishing)} publishing")
    failed = f"[red]{len(status.failed):,} in a row[/], {status.failed_in_all:,} in all" if status.failed else ""
    table.add_row("tasks that failed", failed or f"{status.failed_in_all:,}")
    if status.failed or supervisor.errors:
        table.add_row("because", escape(status.reason or "Druid does not say why; its indexer's log does"))
    errors = [f"  {escape(str(error))}" for error in status.row_errors[:10]]
    return Group(table, "Rows that Druid cannot read (ten at most are shown):", *errors) if errors else table


def lag(status: StreamStatus, *, lag_grows: bool) -> str:
    known = status.supervisor.lag
    if known is None:
        return "unknown"
    return f"[red]{known:,}, and growing[/]" if lag_grows else f"{known:,}"


def line(status: StreamStatus) -> str:
    """For a log."""
    told = status.as_json()
    text = (
        f"{told['time']} {told['stream']} {told['condition']} lag={'?' if told['lag'] is None else told['lag']} "
        f"rows={told['rows']} rows/s={told['rows_per_second']:g} unparseable={told['unparseable']} "
        f"with_error={told['with_error']} failed_tasks={told['tasks_failed_in_a_row']}"
    )
    return f"{text} {json.dumps(told['reason'])}" if told["reason"] else text


def listing(console: Console, streams: Iterable[StreamStatus]) -> None:
    # Names are there to be copied.
    name, topic = Column("stream", no_wrap=True), Column("topic", overflow="fold")
    table = Table(name, topic, "condition", "lag", "rows a second", "failed tasks", box=None)
    for status in streams:
        condition = status.condition
        table.add_row(
            status.supervisor.name,
            escape(status.supervisor.topic),
            f"[{_STYLES[condition]}]{condition.value}[/]",
            lag(status, lag_grows=False),
            f"{status.throughput.rows_per_second:,.1f}",
            f"{len(status.failed)}",
        )
    console.print(table)
