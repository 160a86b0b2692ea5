"""`gateway ingest SPEC` and what goes with it."""

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from typer.core import TyperGroup

from gateway.catalog.load import CatalogInvalid, load_catalog
from gateway.catalog.model import Dataset
from gateway.ingest.batch import display
from gateway.ingest.batch.files import ServeAddress
from gateway.ingest.batch.ingestion import ingest, submit
from gateway.ingest.batch.reports import Phase, Report, State, TaskStatus
from gateway.ingest.batch.spec import parse
from gateway.ingest.connection import BROKER_URL, OVERLORD_URL, Broker, Coordinator, Overlord, fail
from gateway.ingest.connection import run as run_
from gateway.ingest.druid_client import Cluster, DruidClient, connect
from gateway.ingest.stream import spec as stream_spec
from gateway.ingest.stream.cli import app as stream
from gateway.ingest.stream.cli import start as start_stream

T = TypeVar("T")


class _SpecFirst(TyperGroup):
    """`gateway ingest SPEC` is `gateway ingest run SPEC`, so that the usual thing needs no word for it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 typer's own copy of click is private
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_SpecFirst,
    no_args_is_help=True,
    add_completion=False,
    help=(
        "Fill a data source by a Druid ingestion spec: [bold]gateway ingest SPEC[/bold].\n\n"
        "A batch spec starts a task, which replaces intervals and ends: [bold]status[/bold], [bold]cancel[/bold] and "
        "[bold]list[/bold] are about tasks. A Kafka supervisor spec starts a stream, which goes on: see [bold]gateway "
        "ingest stream --help[/bold]."
    ),
    rich_markup_mode="rich",
)
app.add_typer(stream, name="stream")


@app.command()
def run(  # noqa: PLR0913 these are the command line's options
    spec: Annotated[
        Path,
        typer.Argument(
            metavar="SPEC",
            help="A native batch spec (index_parallel), or a Kafka supervisor spec (kafka).",
            exists=True,
            dir_okay=False,
        ),
    ],
    *,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of rows, served to Druid in place of the spec's input source; repeat it for more files.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    overlord: Overlord = OVERLORD_URL,
    broker: Broker = BROKER_URL,
    coordinator: Coordinator = None,
    data_source: Annotated[
        str | None, typer.Option(help="Fill this data source in place of the spec's.", metavar="NAME")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Return when the rows answer queries, or the stream reads.")] = True,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(
            envvar="KAFKA_BOOTSTRAP_SERVERS",
            help="Where Druid finds Kafka, in place of what a supervisor spec says.",
            metavar="HOST:PORT,…",
        ),
    ] = None,
    serve_address: Annotated[
        str,
        typer.Option(
            envvar="INGEST_SERVE_ADDRESS",
            help="This machine's address for Druid, which fetches --data from it.",
            metavar="HOST[:PORT]",
        ),
    ] = "127.0.0.1",
    catalog: Annotated[
        str | None,
        typer.Option(
            envvar="GATEWAY_CATALOG",
            help="Files that describe the data sets, or folders of them, in place of the gateway's examples.",
            metavar="FILE,…",
        ),
    ] = None,
) -> None:
    """Replace a batch spec's intervals with its rows, and return when they answer queries; or start a stream.

    The spec is checked against the gateway's catalog first. Whatever fails, what is served stays as it was.

    [bold]gateway ingest spec.json --data rows.jsonl.gz[/bold]

    With Druid in containers, give the address by which they see this machine:

    [bold]gateway ingest SPEC --data FILE --serve-address 172.17.0.1[/bold]

    A stream goes on by itself when this command has returned. The same spec, changed, changes it:

    [bold]gateway ingest spec.kafka.json --bootstrap-servers kafka:9092[/bold]
    """
    cluster = Cluster(overlord, broker, coordinator)
    text = spec.read_text(encoding="utf-8")
    datasets = _datasets(catalog)
    if stream_spec.is_stream(text):
        if data:
            raise typer.BadParameter("A stream reads its topic: --data is for batch specs.", param_hint="--data")
        start_stream(
            spec.name,
            text,
            datasets,
            cluster,
            data_source=data_source,
            bootstrap_servers=bootstrap_servers,
            wait=wait,
        )
        return
    console = Console()
    files = data or []
    if files and not wait:
        raise typer.BadParameter(
            "Druid fetches --data from this command, which therefore has to stay: leave --no-wait out, or let the spec "
            "name an input source that Druid reads itself"
        )
    try:
        address = ServeAddress.parse(serve_address)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--serve-address") from error

    async def follow() -> None:
        checked = parse(spec.name, text, datasets, brings_files=bool(files))
        if not wait:
            task_id = await submit(checked, cluster, data_source=data_source)
            console.print(f"Task {task_id}\nSee how it goes: gateway ingest status {task_id}", highlight=False)
            return
        with display.progress_bar(console) as bar:
            result = await ingest(
                checked,
                cluster,
                files=files,
                serve_address=address,
                data_source=data_source,
                on_progress=bar,
            )
        display.summary(console, result)

    run_(follow())


@app.command()
def status(task_id: str, *, overlord: Overlord = OVERLORD_URL) -> None:
    """Say how far a task is, or how it ended. The exit code is 1 if it failed."""

    async def ask(client: DruidClient) -> tuple[TaskStatus, Phase | None, Report | None]:
        task = await client.status(task_id)
        running = await client.tasks(task.data_source, running=True) if task.state is State.RUNNING else []
        phases = [t.phase for t in running if t.group_id == task_id and t.phase is not None]
        return task, phases[0] if phases else None, await client.report(task_id)

    task, phase, report = _ask(overlord, ask)
    display.status(Console(), task, phase, report)
    if task.state is State.FAILED:
        raise typer.Exit(1)


@app.command()
def cancel(task_id: str, *, overlord: Overlord = OVERLORD_URL) -> None:
    """End a task. What was served before still is."""

    async def ask(client: DruidClient) -> TaskStatus:
        task = await client.status(task_id)
        if task.state is State.RUNNING:
            await client.cancel(task_id)
        return task

    task = _ask(overlord, ask)
    if task.state is State.RUNNING:
        Console().print(f"Task {task_id} is cancelled.", highlight=False)
    else:
        fail(f"Task {task_id} has ended already ({task.state.value.lower()}).")


@app.command("list")
def list_(
    *,
    data_source: Annotated[str | None, typer.Option(help="Only of this data source.", metavar="NAME")] = None,
    overlord: Overlord = OVERLORD_URL,
) -> None:
    """Show the tasks that Druid knows of, newest first."""
    tasks = _ask(overlord, lambda client: client.tasks(data_source))
    display.listing(Console(), [task for task in tasks if task.group_id == task.task_id])


def _datasets(catalog: str | None) -> Mapping[str, Dataset]:
    try:
        return load_catalog(None if catalog is None else map(Path, filter(None, map(str.strip, catalog.split(",")))))
    except CatalogInvalid as error:
        fail(f"These data set files are wrong:\n{error}")


def _ask(overlord: str, question: Callable[[DruidClient], Coroutine[Any, Any, T]]) -> T:
    async def ask() -> T:
        async with connect(Cluster(overlord, BROKER_URL)) as client:
            return await question(client)

    return run_(ask())
