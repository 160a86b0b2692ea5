"""The command line `python -m druid kafka`."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from druid.cluster import Cluster
from druid.display import show_error
from druid.errors import ClusterError
from druid.kafka.broker import VERSION, Kafka

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help=f"""A Kafka {VERSION} node next to the cluster, for streaming.

It listens at 127.0.0.1:9092 (and 9093 internally), shifted by `DRUID_PORT_OFFSET` like the cluster, and stores its
topics in the folder `kafka` of `DRUID_VAR`. The first start downloads its jars (46 MB). It needs 400 MB of memory.
""",
)
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def _kafka() -> Iterator[Kafka]:
    try:
        yield Kafka.beside(Cluster.from_environment())
    except ClusterError as error:
        show_error(errors, error)
        raise typer.Exit(1) from None


@app.command()
def start() -> None:
    """Start Kafka in the background and wait until it accepts clients."""
    with _kafka() as kafka, console.status("Starting Kafka") as shown:
        started = kafka.start(say=shown.update)
    console.print(f"Kafka {'is up' if started else 'is already running'}: {kafka.bootstrap_servers}")


@app.command()
def stop() -> None:
    """Stop Kafka. Its topics stay."""
    with _kafka() as kafka, console.status("Stopping Kafka"):
        stopped = kafka.stop()
    console.print("Kafka has stopped." if stopped else f"No Kafka runs on {escape(str(kafka.var))}.")


@app.command()
def status() -> None:
    """Show whether Kafka accepts clients. Exit status 0 only if it does."""
    with _kafka() as kafka:
        healthy = kafka.is_healthy()
    state = (
        "accepts clients at" if healthy else "is starting or failing at" if kafka.is_running() else "is not running at"
    )
    console.print(f"Kafka {state} {kafka.bootstrap_servers}; its log: {escape(str(kafka.log))}")
    if not healthy:
        raise typer.Exit(1)
