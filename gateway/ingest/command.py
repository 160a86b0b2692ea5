"""What the commands of `gateway ingest` share: options, and how a failure ends a command."""

import asyncio
import signal
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import stamina
import typer
from rich.console import Console

from gateway.configuration import SettingsInvalid
from gateway.druid.api.http import ServiceError
from gateway.druid.api.urls import ServiceUrl
from gateway.ingest.batch import display
from gateway.ingest.clients import DruidUrls
from gateway.ingest.errors import FailedTask, IngestError, InvalidRows, InvalidSpec
from gateway.ingest.terminal import visible
from gateway.settings import CommandSettings

T = TypeVar("T")

OVERLORD_URL = "http://127.0.0.1:8081"

OverlordOption = Annotated[
    str | None,
    typer.Option(
        envvar=["DRUID_OVERLORD_URL", "DRUID_COORDINATOR_URL"],
        help=f"URL of Druid's overlord. The default is GATEWAY_DRUID_COORDINATOR_URL, or {OVERLORD_URL}.",
        metavar="URL",
    ),
]
BrokerOption = Annotated[
    str | None,
    typer.Option(
        envvar="DRUID_BROKER_URL",
        help="URL of Druid's broker. The default is GATEWAY_DRUID_BROKER_URL, or http://127.0.0.1:8082.",
        metavar="URL",
    ),
]
CoordinatorOption = Annotated[
    str | None,
    typer.Option(
        envvar="DRUID_COORDINATOR_URL",
        help="URL of Druid's coordinator. The default is the overlord's.",
        metavar="URL",
    ),
]


def settings() -> CommandSettings:
    """Return the gateway's settings. Ends the command if one is wrong."""
    try:
        return CommandSettings.from_environment()
    except SettingsInvalid as error:
        fail(str(error), 2)


def urls(overlord: str | None, broker: str | None = None, coordinator: str | None = None) -> DruidUrls:
    """Return the URLs of the options, or else of the gateway's settings, which also have the credentials.

    An overlord that is given is also the coordinator unless another one is. Ends the command if something is wrong.
    """
    configured = settings()
    usual = [*configured.druid_coordinator_url, ServiceUrl(OVERLORD_URL)][0]
    given = _given("overlord", overlord)
    druid = DruidUrls(
        overlord=given or usual,
        broker=_given("broker", broker) or configured.druid_broker_url[0],
        coordinator=_given("coordinator", coordinator) or given or usual,
        security=configured.druid_security,
    )
    try:
        druid.security.check((druid.overlord, druid.broker, druid.coordinator))
    except ValueError as error:
        fail(f"{error}.", 2)
    return druid


def _given(service: str, url: str | None) -> ServiceUrl | None:
    try:
        return None if url is None else ServiceUrl(url)
    except ValueError as error:
        fail(f"The URL of --{service} or DRUID_{service.upper()}_URL is not valid: {error}.", 2)


def spec_text(path: Path) -> str:
    """Raises InvalidSpec if the file is not readable as UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidSpec(path.name, [f"byte {error.start + 1} is not UTF-8: save the file as UTF-8"]) from error
    except OSError as error:
        raise InvalidSpec(path.name, [f"it cannot be read: {error.strerror}"]) from error


def run(work: Coroutine[Any, Any, T], interrupted: str = "Interrupted.") -> T:
    """Run a command's work. A failure ends the command with one message and exit code 1.

    Ctrl-C and SIGTERM cancel the work, which cleans up, and end the command with 130 and 143.
    """
    # Each retry would otherwise be a line of log in the middle of the progress bar.
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        return asyncio.run(_until_sigterm(work))
    except KeyboardInterrupt:
        _end(130, interrupted)
    except asyncio.CancelledError:
        _end(143, interrupted)
    except (FailedTask, InvalidRows) as error:
        display.row_errors(Console(stderr=True), error.row_errors)
        fail(str(error))
    except (IngestError, ServiceError) as error:
        fail(str(error))
    except UnicodeEncodeError as error:
        fail(f"{error.object!r} is not valid UTF-8, so it cannot be sent to Druid.")


async def _until_sigterm(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    # Signal handlers can be set in the main thread only.
    if task is None or threading.current_thread() is not threading.main_thread():
        return await work
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        # A second SIGTERM ends the process immediately.
        loop.remove_signal_handler(signal.SIGTERM)
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, cancel)
    try:
        return await work
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with this message on standard error: 1 if it failed, 2 if it was given something wrong."""
    _end(code, message)


def _end(code: int, message: str) -> NoReturn:
    if message:
        typer.secho(visible(message), fg="red" if code in (1, 2) else None, file=sys.stderr)
    raise typer.Exit(code)
