"""`gateway ingest stream`: show and change the streams that `gateway ingest SPEC` started."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from gateway.catalog.model import Dataset
from gateway.ingest.clients import DruidUrls, connect
from gateway.ingest.command import OverlordOption, run, urls
from gateway.ingest.stream import display, lifecycle
from gateway.ingest.stream.spec import parse
from gateway.ingest.stream.status import Condition, StreamStatus
from gateway.ingest.terminal import visible

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=(
        "Show, suspend, resume and terminate streams.\n\n"
        "A Kafka supervisor spec starts a stream: "
        "[bold]gateway ingest SPEC[/bold]. The stream has the name of the data "
        "source that it fills.\n\n"
        "Druid reports RUNNING, healthy and a lag of 0 while every task of a stream fails as soon as it starts. These "
        "commands also inspect the tasks, and call that [bold]failing[/bold]."
    ),
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The data source that the stream fills.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(*, as_json: AsJson = False, overlord: OverlordOption = None) -> None:
    """Show all streams of Druid."""

    async def ask() -> list[StreamStatus]:
        async with connect(urls(overlord)) as druid:
            return [await lifecycle.inspect(druid, name) for name in await druid.overlord.supervisors()]

    streams = run(ask())
    if as_json:
        typer.echo(json.dumps([status.as_json() for status in streams]))
    else:
        display.listing(Console(), streams)


@app.command()
def status(name: Name, *, as_json: AsJson = False, overlord: OverlordOption = None) -> None:
    """Show a stream's state once. The exit code is 1 if the stream is failing."""

    async def ask() -> StreamStatus:
        async with connect(urls(overlord)) as druid:
            return await lifecycle.inspect(druid, name)

    seen = run(ask())
    if as_json:
        typer.echo(json.dumps(seen.as_json()))
    else:
        Console().print(display.panel(seen))
    if seen.condition is Condition.FAILING:
        raise typer.Exit(1)


@app.command()
def watch(
    name: Name,
    *,
    as_json: AsJson = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two updates.")] = 2.0,
    overlord: OverlordOption = None,
) -> None:
    """Show a stream's lag, rows and failed tasks until Ctrl-C.

    Without a terminal, it prints one line for each update; with --json, one JSON object.
    """
    console = Console()

    async def follow() -> None:
        lags = display.Lags()
        with Live(console=console, auto_refresh=False) as live:
            async for seen in lifecycle.watch(urls(overlord), name, every=every):
                lags.add(seen)
                live.update(display.panel(seen, lag_grows=lags.grow), refresh=True)

    async def log() -> None:
        async for seen in lifecycle.watch(urls(overlord), name, every=every):
            print(json.dumps(seen.as_json()) if as_json else display.line(seen), flush=True)

    run(follow() if console.is_terminal and not as_json else log(), interrupted="")


@app.command()
def suspend(name: Name, *, overlord: OverlordOption = None) -> None:
    """Stop reading, and return when all rows that were read are published. They stay available."""
    with Console(stderr=True).status("Publishing rows"):
        run(lifecycle.suspend(urls(overlord), name))
    _say(f"{name} is suspended. To continue: gateway ingest stream resume {name}")


@app.command()
def resume(name: Name, *, overlord: OverlordOption = None) -> None:
    """Continue reading from where the stream was suspended."""
    run(lifecycle.resume(urls(overlord), name))
    _say(f"{name} is resumed. To see it: gateway ingest stream watch {name}")


@app.command()
def terminate(name: Name, *, overlord: OverlordOption = None) -> None:
    """End a stream, and return when all rows that were read are published.

    The rows stay available. Started again with its spec, the stream continues from where it ended.
    """
    with Console(stderr=True).status("Publishing rows"):
        run(lifecycle.terminate(urls(overlord), name))
    _say(f"{name} is terminated.")


def start(  # noqa: PLR0913 - the options of `gateway ingest SPEC`
    name: str,
    text: str,
    datasets: Mapping[str, Dataset],
    druid: DruidUrls,
    *,
    data_source: str | None,
    bootstrap_servers: str | None,
    wait: bool,
) -> None:
    """Start a stream for `gateway ingest SPEC`."""
    console = Console()

    async def begin() -> StreamStatus:
        spec = parse(name, text, datasets)
        with console.status("Starting the stream"):
            return await lifecycle.start(
                spec, druid, data_source=data_source, bootstrap_servers=bootstrap_servers, wait=wait
            )

    seen = run(begin(), interrupted="Interrupted. The stream continues if Druid has accepted it.")
    console.print(display.panel(seen))
    _say(f"To see it: gateway ingest stream watch {seen.supervisor.name}")


def _say(sentence: str) -> None:
    typer.echo(visible(sentence))
