"""`gateway ingest SPEC` and what goes with it."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import stamina
import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from gateway.ingest import display
from gateway.ingest.druid_client import Cluster, DruidClient, connect
from gateway.ingest.errors import FailedTask, IngestError
from gateway.ingest.files import ServeAddress
from gateway.ingest.ingestion import ingest, submit
from gateway.ingest.reports import Phase, Report, State, TaskStatus
from gateway.ingest.spec import parse

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
    help="Fill a data source by a Druid ingestion spec: [bold]gateway ingest SPEC[/bold].",
    rich_markup_mode="rich",
)

OVERLORD_URL = "http://127.0.0.1:8081"
BROKER_URL = "http://127.0.0.1:8082"

Overlord = Annotated[
    str,
    typer.Option(
        envvar=["DRUID_OVERLORD_URL", "DRUID_COORDINATOR_URL"], help="Where Druid's overlord answers.", metavar="URL"
    ),
]
Broker = Annotated[str, typer.Option(envvar="DRUID_BROKER_URL", help="Where Druid's broker answers.", metavar="URL")]
Coordinator = Annotated[
    str | None,
    typer.Option(
        envvar="DRUID_COORDINATOR_URL", help="Where Druid's coordinator answers, if not as the overlord.", metavar="URL"
    ),
]


@app.command()
def run(  # noqa: PLR0913 these are the command line's options
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="A native batch spec (index_parallel).", exists=True, dir_okay=False)
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
    wait: Annotated[bool, typer.Option(help="Follow the task until its segments answer queries.")] = True,
    serve_address: Annotated[
        str,
        typer.Option(
            envvar="INGEST_SERVE_ADDRESS",
            help="This machine's address for Druid, which fetches --data from it.",
            metavar="HOST[:PORT]",
        ),
    ] = "127.0.0.1",
) -> None:
    """Replace the spec's intervals with its rows, and return when they answer queries.

    The spec is checked against the gateway's catalog first. Whatever fails, what is served stays as it was.

    [bold]gateway ingest ingestion-specs/chat_sessions.json --data chats.jsonl.gz[/bold]

    With Druid in containers, give the address by which they see this machine:

    [bold]gateway ingest SPEC --data FILE --serve-address 172.17.0.1[/bold]
    """
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
    cluster = Cluster(overlord, broker, coordinator)
    console = Console()

    async def follow() -> None:
        checked = parse(spec.name, spec.read_text(encoding="utf-8"), brings_files=bool(files))
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

    _run(follow())


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
        _fail(f"Task {task_id} has ended already ({task.state.value.lower()}).")


@app.command("list")
def list_(
    *,
    data_source: Annotated[str | None, typer.Option(help="Only of this data source.", metavar="NAME")] = None,
    overlord: Overlord = OVERLORD_URL,
) -> None:
    """Show the tasks that Druid knows of, newest first."""
    tasks = _ask(overlord, lambda client: client.tasks(data_source))
    display.listing(Console(), [task for task in tasks if task.group_id == task.task_id])


def _ask(overlord: str, question: Callable[[DruidClient], Coroutine[Any, Any, T]]) -> T:
    async def ask() -> T:
        async with connect(Cluster(overlord, BROKER_URL)) as client:
            return await question(client)

    return _run(ask())


def _run(work: Coroutine[Any, Any, T]) -> T:
    # The progress bar is what a person sees; without this, each retry would be a line of log between.
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted: a task that read --data is cancelled, any other goes on.")
        raise typer.Exit(130) from None
    except FailedTask as error:
        display.row_errors(Console(stderr=True), error.row_errors)
        _fail(str(error))
    except IngestError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"[red]{escape(message)}[/]", highlight=False)
    raise typer.Exit(1)
