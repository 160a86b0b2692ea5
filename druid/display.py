"""Shows a start or stop: a live table on a terminal, single lines elsewhere; and why one failed."""

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from druid.errors import ClusterError, ServiceFailedError
from druid.watch import ServiceStatus


def table(services: tuple[ServiceStatus, ...]) -> Table:
    shown = Table("service", "pid", "port", "state", "healthy", "uptime", box=None, pad_edge=False)
    for status in services:
        shown.add_row(
            status.service,
            str(status.pid or "-"),
            str(status.port),
            status.state.lower(),
            "[green]yes[/]" if status.healthy else "[red]no[/]",
            f"{status.uptime:.0f} s" if status.pid else "-",
        )
    return shown


def show_error(console: Console, error: ClusterError) -> None:
    """Print the message; before it, if a service failed, the last lines of the service's log."""
    if isinstance(error, ServiceFailedError) and error.log:
        console.print(f"The last lines of {error.service}'s log:", style="bold")
        console.print("\n".join(error.log), markup=False, style="dim")
    console.print(f"[bold red]{escape(str(error))}[/]")


class LiveObserver:
    """An Observer that draws on the console. Use it as a context manager around one start or stop."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._spinner = Spinner("dots", title)
        self._services: tuple[ServiceStatus, ...] = ()
        self._announced: set[str] = set()
        self._live = Live(console=console, get_renderable=self._draw, transient=True, refresh_per_second=8)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(self._spinner.text)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, what: str) -> None:
        if what == self._spinner.text:
            return
        self._spinner.update(text=what)
        if not self._console.is_terminal:
            self._console.print(what, highlight=False)

    def show(self, services: tuple[ServiceStatus, ...]) -> None:
        self._services = services
        if not self._console.is_terminal:
            healthy = {status.service.value for status in services if status.healthy}
            for service in sorted(healthy - self._announced):
                self._console.print(f"{service} is healthy")
            self._announced |= healthy

    def _draw(self) -> RenderableType:
        return Group(self._spinner, table(self._services)) if self._services else self._spinner
