"""Streams on a terminal, and as lines of text for logs."""

import json
from collections import deque
from collections.abc import Iterable
from itertools import pairwise

from rich.console import Console, Group, RenderableType
from rich.table import Column, Table

from gateway.ingest.stream.status import Condition, StreamStatus
from gateway.ingest.terminal import markup, visible

_STYLES = {
    Condition.STARTING: "cyan",
    Condition.READING: "green",
    Condition.SUSPENDED: "yellow",
    Condition.FAILING: "bold red",
}
# A lag grows if this many different values were each larger than the one before.
_GROWING = 4


class Lags:
    """The last lags that Druid reported. Druid determines the lag less often than it is asked for it."""

    def __init__(self) -> None:
        self._last: deque[tuple[str, int]] = deque(maxlen=_GROWING)

    def add(self, status: StreamStatus) -> None:
        when, lag = status.supervisor.lag_known_at, status.supervisor.lag
        if lag is None or when is None:
            self._last.clear()
        elif not self._last or self._last[-1][0] != when:
            self._last.append((when, lag))

    @property
    def grow(self) -> bool:
        lags = [lag for _, lag in self._last]
        return len(lags) == _GROWING and all(a < b for a, b in pairwise(lags))


def panel(status: StreamStatus, *, lag_grows: bool = False) -> RenderableType:
    """Return everything about a stream."""
    supervisor, rows = status.supervisor, status.throughput.rows
    table = Table(title=markup(supervisor.name), show_header=False, title_justify="left")
    condition = status.condition
    table.add_row("condition", f"[{_STYLES[condition]}]{condition.value}[/] (Druid: {markup(supervisor.detail)})")
    table.add_row("topic", markup(supervisor.topic))
    table.add_row("rows behind (lag)", _lag(status, lag_grows=lag_grows))
    per_second = status.throughput.rows_per_second
    table.add_row("rows of the running tasks", f"{rows.read:,}, {per_second:,.1f} per second in the last minute")
    if rows.thrown_away:
        table.add_row("rows left out", f"[red]{rows.thrown_away:,}[/], outside the accepted time")
    if bad := rows.unparseable + rows.with_error:
        table.add_row("rows with errors", f"[red]{bad:,}[/], {rows.unparseable:,} of them left out")
    table.add_row("tasks", f"{len(supervisor.reading)} reading, {len(supervisor.publishing)} publishing")
    failed = f"[red]{len(status.failed):,} in a row[/], {status.failed_in_all:,} in all" if status.failed else ""
    table.add_row("tasks that failed", failed or f"{status.failed_in_all:,}")
    if status.failed or supervisor.errors:
        table.add_row("reason", markup(status.reason or "Druid gives no reason. See the log of its indexer"))
    errors = [f"  {markup(error)}" for error in status.row_errors[:10]]
    return Group(table, "Rows that Druid could not read (at most ten are shown):", *errors) if errors else table


def _lag(status: StreamStatus, *, lag_grows: bool) -> str:
    known = status.supervisor.lag
    if known is None:
        return "unknown"
    return f"[red]{known:,}, growing[/]" if lag_grows else f"{known:,}"


def line(status: StreamStatus) -> str:
    """Return one line for a log."""
    values = status.as_json()
    lag = "?" if values["lag"] is None else values["lag"]
    text = visible(
        f"{values['time']} {values['stream']} {values['condition']} lag={lag} "
        f"rows={values['rows']} rows/s={values['rows_per_second']:g} unparseable={values['unparseable']} "
        f"with_error={values['with_error']} failed_tasks={values['tasks_failed_in_a_row']}"
    )
    return f"{text} {json.dumps(values['reason'])}" if values["reason"] else text


def listing(console: Console, streams: Iterable[StreamStatus]) -> None:
    # Names must be copied as a whole.
    name, topic = Column("stream", no_wrap=True), Column("topic", overflow="fold")
    table = Table(name, topic, "condition", "lag", "rows per second", "failed tasks", box=None)
    for status in streams:
        condition = status.condition
        table.add_row(
            markup(status.supervisor.name),
            markup(status.supervisor.topic),
            f"[{_STYLES[condition]}]{condition.value}[/]",
            _lag(status, lag_grows=False),
            f"{status.throughput.rows_per_second:,.1f}",
            f"{len(status.failed)}",
        )
    console.print(table)
