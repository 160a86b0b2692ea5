"""`gateway ingest stream`: the streams that `gateway ingest SPEC` started."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from gateway.catalog.model import Dataset
from gateway.ingest.connection import BROKER_URL, OVERLORD_URL, Overlord, run
from gateway.ingest.druid_client import Cluster, connect
from gateway.ingest.stream import display as stream_display
from gateway.ingest.stream import spec as stream_spec
from gateway.ingest.stream import streaming
from gateway.ingest.stream.reports import Condition, StreamStatus

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=(
        "See, hold and end streams.\n\n"
        "A Kafka supervisor spec starts one: [bold]gateway ingest SPEC[/bold]. Its "
        "name is that of the data source that it fills.\n\n"
        "Do not trust Druid's own word for a stream: it says RUNNING and healthy, with a lag of 0, while each task "
        "that it starts fails at once. These commands look at the tasks, too, and call that [bold]failing[/bold]."
    ),
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The data source that the stream fills.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for other programs.")]


@app.command("list")
def list_(*, as_json: AsJson = False, overlord: Overlord = OVERLORD_URL) -> None:
    """Show every stream that Druid has."""

    async def ask() -> list[StreamStatus]:
        async with connect(_cluster(overlord)) as client:
            return [await streaming.look(client, name) for name in await client.streams()]

    streams = run(ask())
    if as_json:
        typer.echo(json.dumps([status.as_json() for status in streams]))
    else:
        stream_display.listing(Console(), streams)


@app.command()
def status(name: Name, *, as_json: AsJson = False, overlord: Overlord = OVERLORD_URL) -> None:
    """Say once how a stream does. The exit code is 1 if it is failing."""

    async def ask() -> StreamStatus:
        async with connect(_cluster(overlord)) as client:
            return await streaming.look(client, name)

    seen = run(ask())
    if as_json:
        typer.echo(json.dumps(seen.as_json()))
    else:
        Console().print(stream_display.panel(seen))
    if seen.condition is Condition.FAILING:
        raise typer.Exit(1)


@app.command()
def watch(
    name: Name,
    *,
    as_json: AsJson = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    overlord: Overlord = OVERLORD_URL,
) -> None:
    """Show how a stream does until Ctrl-C: lag, rows, tasks that failed.

    Without a terminal, a line each time; with --json, an object a line.
    """
    console = Console()

    async def follow() -> None:
        lags = stream_display.Lags()
        with Live(console=console, auto_refresh=False) as live:
            async for seen in streaming.watch(_cluster(overlord), name, every=every):
                lags.add(seen)
                live.update(stream_display.panel(seen, lag_grows=lags.grow), refresh=True)

    async def tell() -> None:
        async for seen in streaming.watch(_cluster(overlord), name, every=every):
            print(json.dumps(seen.as_json()) if as_json else stream_display.line(seen), flush=True)

    run(follow() if console.is_terminal and not as_json else tell(), interrupted="")


@app.command()
def suspend(name: Name, *, overlord: Overlord = OVERLORD_URL) -> None:
    """Stop reading, and return when what was read is published. What is served stays as it is."""
    with Console(stderr=True).status("Publishing what was read"):
        run(streaming.suspend(_cluster(overlord), name))
    _say(f"{name} is suspended. It goes on where it was: gateway ingest stream resume {name}")


@app.command()
def resume(name: Name, *, overlord: Overlord = OVERLORD_URL) -> None:
    """Go on reading where it was suspended."""
    run(streaming.resume(_cluster(overlord), name))
    _say(f"{name} is resumed. See how it does: gateway ingest stream watch {name}")


@app.command()
def terminate(name: Name, *, overlord: Overlord = OVERLORD_URL) -> None:
    """End a stream, and return when what was read is published.

    Its rows stay. Started again by its spec, it goes on where it ended.
    """
    with Console(stderr=True).status("Publishing what was read"):
        run(streaming.terminate(_cluster(overlord), name))
    _say(f"{name} is terminated.")


def start(  # noqa: PLR0913 what `gateway ingest SPEC` was given
    name: str,
    text: str,
    datasets: Mapping[str, Dataset],
    cluster: Cluster,
    *,
    data_source: str | None,
    bootstrap_servers: str | None,
    wait: bool,
) -> None:
    """The command that starts a stream is `gateway ingest SPEC`."""
    console = Console()

    async def begin() -> StreamStatus:
        spec = stream_spec.parse(name, text, datasets)
        with console.status("Starting the stream"):
            return await streaming.start(
                spec, cluster, data_source=data_source, bootstrap_servers=bootstrap_servers, wait=wait
            )

    seen = run(begin(), interrupted="Interrupted: the stream goes on.")
    console.print(stream_display.panel(seen))
    _say(f"See how it does: gateway ingest stream watch {seen.supervisor.name}")


def _cluster(overlord: str) -> Cluster:
    return Cluster(overlord, BROKER_URL)


def _say(sentence: str) -> None:
    Console(soft_wrap=True).print(sentence, highlight=False)
