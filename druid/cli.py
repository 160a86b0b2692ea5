"""The command line `python -m druid`."""

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from druid.cluster import START_SECONDS, Cluster
from druid.display import LiveObserver, show_error, table
from druid.errors import ClusterError
from druid.kafka.cli import app as kafka
from druid.lookups import read, register
from druid.services import Service

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="""A small Apache Druid cluster on this machine, for development, tests and demos.

Five processes (ZooKeeper, coordinator with overlord, historical, broker, indexer) run in the background under
supervisord and listen on 127.0.0.1 only. Needs Java 17 (or 11), Maven for the first start, and about 3 GiB of memory.

Environment:

- `DRUID_VAR`: folder of the cluster's data, logs and generated files (default: var/druid of this project)
- `DRUID_PORT_OFFSET`: added to Druid's default ports 8081 (coordinator), 8082 (broker), 8083 (historical),
  8091 (indexer), 2181 (ZooKeeper), 1527 (Derby)
- `DRUID_HOME`: folder of the jars, downloaded if missing (default: var/druid-33.0.0)
- `JAVA_HOME`, `JDK_JAVA_OPTIONS`: the Java to use, and additional options for it

For streaming: `python -m druid kafka --help`.

A second cluster next to the first: `DRUID_VAR=var/other DRUID_PORT_OFFSET=10000 python -m druid start`
""",
)
app.add_typer(kafka, name="kafka")
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except ClusterError as error:
        show_error(errors, error)
        raise typer.Exit(1) from None


@app.command()
def start(
    timeout: Annotated[float, typer.Option(min=1, help="Seconds until every service must be healthy.")] = START_SECONDS,
) -> None:
    """Start the cluster in the background and wait until every service is healthy.

    The first start downloads the jars (about 190 MB). When a service fails, its last log lines are shown and the other
    services are stopped. A cluster that is already running is not changed.
    """
    began = time.monotonic()
    with _clear_errors():
        cluster = Cluster.from_environment()
        with LiveObserver(console, "Starting Druid") as observer:
            started = cluster.start(timeout=timeout, observer=observer)
        console.print(table(cluster.status()))
        if started:
            console.print(f"Druid is up after {time.monotonic() - began:.0f} s: broker {cluster.broker_url}")
        else:
            console.print(f"Druid is already running on {escape(str(cluster.var))}: broker {cluster.broker_url}")


@app.command()
def status() -> None:
    """Show every service: process, port, health, uptime. Exit status 0 only when all are healthy."""
    with _clear_errors():
        services = Cluster.from_environment().status()
    console.print(table(services))
    if not all(status.healthy for status in services):
        raise typer.Exit(1)


@app.command()
def stop() -> None:
    """Stop all services of the cluster, ZooKeeper last. The data stays."""
    began = time.monotonic()
    with _clear_errors():
        cluster = Cluster.from_environment()
        with LiveObserver(console, "Stopping Druid") as observer:
            stopped = cluster.stop(observer=observer)
    if stopped:
        console.print(f"Druid has stopped after {time.monotonic() - began:.0f} s.")
    else:
        console.print(f"No cluster runs on {escape(str(cluster.var))}.")


@app.command()
def logs(
    service: Annotated[Service | None, typer.Argument(help="The service; default: all services.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Number of last lines.")] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl-C.")] = False,  # noqa: FBT002 - how typer declares a flag
) -> None:
    """Show the last log lines of one service or of all."""
    with _clear_errors():
        cluster = Cluster.from_environment()
        services = (service,) if service else tuple(Service)
        files = [log for log in map(cluster.layout.log, services) if log.exists()]
        if not files:
            raise ClusterError(f"No logs in {cluster.layout.logs}: the cluster has never been started.")
    # tail follows rotated files.
    os.execvp("tail", ["tail", f"--lines={lines}", *(["-F"] if follow else []), *map(str, files)])  # noqa: S606, S607


@app.command()
def lookups(
    file: Annotated[typer.FileText, typer.Argument(help='JSON: {"lookup": {"id": "name", …}, …}.')],
) -> None:
    """Create or replace lookups from a file, and wait until every service has loaded them."""
    with _clear_errors():
        found = read(file)
        register(Cluster.from_environment().coordinator_url, found)
    console.print(", ".join(f"{escape(name)}: {len(names)} names" for name, names in found.items()))


@app.command()
def env() -> None:
    """Print the cluster's addresses as shell commands: eval "$(python -m druid env)"."""
    with _clear_errors():
        cluster = Cluster.from_environment()
    # A shell reads these lines, so rich must not wrap them at the width of the terminal.
    typer.echo(f"export DRUID_BROKER_URL={shlex.quote(cluster.broker_url)}")
    typer.echo(f"export DRUID_COORDINATOR_URL={shlex.quote(cluster.coordinator_url)}")
