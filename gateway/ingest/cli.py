"""`gateway ingest SPEC`, and the commands that show and cancel its tasks.

Exit codes: 0 done; 1 rejected or failed (a sentence on standard error says why); 2 wrong options, settings or data set
files; 130 and 143 after Ctrl-C and SIGTERM.
"""

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from typer.core import TyperGroup

from gateway.catalog.load import CatalogInvalid, load_catalog
from gateway.catalog.model import Dataset
from gateway.configuration import split_at_commas
from gateway.druid.api.overlord import Overlord
from gateway.druid.tasks import Phase, Report, State, TaskStatus
from gateway.ingest.batch import display
from gateway.ingest.batch.file_server import ServeAddress
from gateway.ingest.batch.run import ingest, submit
from gateway.ingest.batch.spec import BatchSpec, parse
from gateway.ingest.clients import connect
from gateway.ingest.command import (
    BrokerOption,
    CoordinatorOption,
    OverlordOption,
    fail,
    settings,
    spec_text,
    urls,
)
from gateway.ingest.command import run as run_
from gateway.ingest.errors import IngestError
from gateway.ingest.stream.cli import app as stream
from gateway.ingest.stream.cli import start as start_stream
from gateway.ingest.stream.spec import is_stream
from gateway.ingest.terminal import markup

T = TypeVar("T")


class _SpecFirst(TyperGroup):
    """Reads `gateway ingest SPEC` as `gateway ingest run SPEC`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's own copy of click is private
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_SpecFirst,
    no_args_is_help=True,
    add_completion=False,
    help=(
        "Fill a data source according to a Druid ingestion spec: [bold]gateway ingest SPEC[/bold].\n\n"
        "A batch spec starts a task, which replaces intervals and ends: see [bold]status[/bold], [bold]cancel[/bold] "
        "and [bold]list[/bold]. A Kafka supervisor spec starts a stream, which has no end: see [bold]gateway ingest "
        "stream --help[/bold].\n\n"
        "The exit code is 1 after a failure or a rejected spec or row, and 2 if an option, a setting or a data set "
        "file is wrong."
    ),
    rich_markup_mode="rich",
)
app.add_typer(stream, name="stream")


@app.command()
def run(  # noqa: PLR0913 - these are the command line's options
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
            help="A file of rows, one JSON object per line, which replaces the spec's input source. Repeat the option "
            "for more files. gzip, bzip2 and xz files are read by their suffix.",
        ),
    ] = None,
    skip_bad_rows: Annotated[
        bool,
        typer.Option(
            "--skip-bad-rows", help="List and leave out rows of --data that are not valid, instead of ending."
        ),
    ] = False,
    overlord: OverlordOption = None,
    broker: BrokerOption = None,
    coordinator: CoordinatorOption = None,
    data_source: Annotated[
        str | None, typer.Option(help="Fill this data source instead of the spec's.", metavar="NAME")
    ] = None,
    wait: Annotated[
        bool, typer.Option(help="Return when queries read the rows, or when the stream reads its topic.")
    ] = True,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(
            envvar="KAFKA_BOOTSTRAP_SERVERS",
            help="Kafka's address for Druid, instead of the one in a supervisor spec.",
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
            help="Files that describe the data sets, or folders of them, instead of those of GATEWAY_CATALOG.",
            metavar="FILE,…",
        ),
    ] = None,
) -> None:
    """Replace a batch spec's intervals with rows and return when queries read them; or start a stream.

    The spec is first compared with the gateway's catalog, and every row of --data is checked. If anything fails, the
    existing data stays as it is. Ctrl-C and SIGTERM cancel the task.

    [bold]gateway ingest spec.json --data rows.jsonl.gz[/bold]

    If Druid runs in containers, give the address at which they reach this machine:

    [bold]gateway ingest SPEC --data FILE --serve-address 172.17.0.1[/bold]

    Data sets and URLs that are not given, credentials and certificates are those of the gateway's settings:
    GATEWAY_CATALOG, GATEWAY_DRUID_USERNAME and so on, or their keys in a file:

    [bold]gateway --settings FILE ingest SPEC[/bold]

    A stream continues when this command has returned. To change it, run the command with a changed spec:

    [bold]gateway ingest spec.kafka.json --bootstrap-servers kafka:9092[/bold]
    """
    druid = urls(overlord, broker, coordinator)
    datasets = _datasets(catalog)
    console = Console()
    files = data or []

    def read() -> tuple[str, bool]:
        text = spec_text(spec)
        return text, is_stream(text)

    text, streams = _or_fail(read)
    if streams:
        if files:
            raise typer.BadParameter("A stream reads its topic: --data is for batch specs.", param_hint="--data")
        start_stream(
            spec.name,
            text,
            datasets,
            druid,
            data_source=data_source,
            bootstrap_servers=bootstrap_servers,
            wait=wait,
        )
        return
    if files and not wait:
        raise typer.BadParameter(
            "Druid fetches --data from this command, which must run until then. Leave out --no-wait, or use a spec "
            "with an input source that Druid reads itself."
        )
    try:
        address = ServeAddress.parse(serve_address)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--serve-address") from error
    checked: BatchSpec = _or_fail(lambda: parse(spec.name, text, datasets, brings_files=bool(files)))

    async def follow() -> None:
        if not wait:
            task_id = markup(await submit(checked, druid, data_source=data_source))
            console.print(f"Task {task_id}\nShow its state: gateway ingest status {task_id}", highlight=False)
            return
        with display.progress_bar(console) as bar:
            result = await ingest(
                checked,
                druid,
                files=files,
                skip_bad_rows=skip_bad_rows,
                serve_address=address,
                data_source=data_source,
                on_progress=bar,
            )
        display.summary(console, result)

    run_(follow(), interrupted="Interrupted. If this command had started a task, the task is cancelled.")


@app.command()
def status(task_id: str, *, overlord: OverlordOption = None) -> None:
    """Show a task's state and rows. The exit code is 1 if the task failed."""

    async def ask(client: Overlord) -> tuple[TaskStatus, Phase | None, Report | None]:
        task = await client.status(task_id)
        running = await client.tasks(task.data_source, running=True) if task.state is State.RUNNING else []
        phases = [t.phase for t in running if t.group_id == task_id and t.phase is not None]
        return task, phases[0] if phases else None, await client.report(task_id)

    task, phase, report = _ask(overlord, ask)
    display.status(Console(), task, phase, report)
    if task.state is State.FAILED:
        raise typer.Exit(1)


@app.command()
def cancel(task_id: str, *, overlord: OverlordOption = None) -> None:
    """Cancel a task. The existing data stays as it is."""

    async def ask(client: Overlord) -> TaskStatus:
        task = await client.status(task_id)
        if task.state is State.RUNNING:
            await client.cancel(task_id)
        return task

    task = _ask(overlord, ask)
    if task.state is State.RUNNING:
        Console(soft_wrap=True).print(f"Task {markup(task_id)} is cancelled.", highlight=False)
    else:
        fail(f"Task {task_id} has already ended ({task.state.value.lower()}).")


@app.command("list")
def list_(
    *,
    data_source: Annotated[str | None, typer.Option(help="Show only this data source's tasks.", metavar="NAME")] = None,
    overlord: OverlordOption = None,
) -> None:
    """Show the state, time and id of Druid's tasks, newest first."""
    tasks = _ask(overlord, lambda client: client.tasks(data_source))
    display.listing([task for task in tasks if task.group_id == task.task_id])


def _datasets(catalog: str | None) -> Mapping[str, Dataset]:
    files = settings().catalog if catalog is None else map(Path, split_at_commas(catalog))
    try:
        return load_catalog(files)
    except CatalogInvalid as error:
        fail(f"These data set files are wrong:\n{error}", 2)


def _ask(overlord: str | None, question: Callable[[Overlord], Coroutine[Any, Any, T]]) -> T:
    async def ask() -> T:
        async with connect(urls(overlord)) as druid:
            return await question(druid.overlord)

    return run_(ask())


def _or_fail(action: Callable[[], T]) -> T:
    try:
        return action()
    except IngestError as error:
        fail(str(error))
