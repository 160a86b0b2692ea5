"""What the commands share: where Druid is, and how errors end a command."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, NoReturn, TypeVar

import stamina
import typer
from rich.console import Console
from rich.markup import escape

from gateway.ingest.batch import display
from gateway.ingest.errors import FailedTask, IngestError

T = TypeVar("T")

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


def run(
    work: Coroutine[Any, Any, T],
    interrupted: str = "Interrupted: a task that read --data is cancelled, any other goes on.",
) -> T:
    """Do it, and end the command with exit code 1 and one sentence when it cannot be done, 130 on Ctrl-C."""
    # The progress bar is what a person sees; without this, each retry would be a line of log between.
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        if interrupted:
            Console(stderr=True).print(interrupted)
        raise typer.Exit(130) from None
    except FailedTask as error:
        display.row_errors(Console(stderr=True), error.row_errors)
        fail(str(error))
    except IngestError as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"[red]{escape(message)}[/]", highlight=False)
    raise typer.Exit(1)
