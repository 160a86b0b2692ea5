"""The command line: `gateway serve`, `gateway check`, `gateway accounts`, `gateway catalog`, `gateway ingest`.

Exit codes of `serve`: 0 after SIGTERM or Ctrl-C, 1 if it cannot start, 2 if settings or data set files are wrong.
"""

import json
import os
import ssl
import sys
from collections.abc import Iterable
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from textwrap import fill, indent
from typing import Annotated, Any, NoReturn

import structlog
import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from typer.core import TyperGroup

from gateway.accounts.cli import app as accounts
from gateway.accounts.schema import DatabaseNotReady
from gateway.catalog.load import CatalogInvalid, load_catalog
from gateway.catalog.model import Dataset
from gateway.cli.catalog import app as catalog
from gateway.cli.check import check
from gateway.cli.supervisor import WorkersFailed, supervise
from gateway.cli.worker import Place, most_workers
from gateway.configuration import SETTINGS_FILE, exposed_settings_file, settings_file
from gateway.ingest.cli import app as ingest
from gateway.settings import (
    Settings,
    SettingsInvalid,
    reject_unknown_keys,
    reject_unknown_variables,
    variables,
)
from gateway.telemetry.logging import configure_logging

_log = structlog.get_logger(__name__)


class _CheckedSettings(TyperGroup):
    """Rejects misspelt settings before any command runs. `--help`, which lists the right ones, always works."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 typer's own copy of click is private
        name, command, rest = super().resolve_command(ctx, args)
        if file := ctx.params["settings"]:
            # Each command reads the settings that it needs.
            os.environ[SETTINGS_FILE] = str(file)
        # `gateway check` reports them with everything else.
        if name != "check" and "--help" not in rest:
            try:
                reject_unknown_variables(os.environ)
                reject_unknown_keys(settings_file())
            except SettingsInvalid as error:
                _end(str(error), 2)
        return name, command, rest


app = typer.Typer(
    cls=_CheckedSettings,
    help="A public, multi-tenant reporting API in front of Apache Druid.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback of a fault must not show the values of local variables.
    pretty_exceptions_show_locals=False,
)
app.add_typer(accounts, name="accounts")
app.add_typer(catalog, name="catalog")
app.add_typer(ingest, name="ingest")
app.command()(check)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 typer calls it with the option's value
    if wanted:
        print(f"gateway {version('druid-gateway')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    settings: Annotated[
        Path | None,
        typer.Option(
            envvar=SETTINGS_FILE, metavar="FILE", help="A TOML file of settings. Environment variables win over it."
        ),
    ] = None,
) -> None:
    pass


def default_of(field: FieldInfo) -> str:
    """Return a setting's default as it would be written in the environment."""
    match field.default:
        case None | ():
            text = "unset"
        case SecretStr() as secret:
            text = secret.get_secret_value()
        case Enum() as member:
            text = str(member.value)
        case tuple() | frozenset() as several:
            text = ",".join(map(str, several))
        case dict() as mapping:
            text = json.dumps(mapping)
        case float() as number:
            text = f"{number:g}"
        case value:
            text = str(value)
    return text


def _serve_help() -> str:
    lines = [
        "Serve the reporting API over HTTP until Ctrl-C or SIGTERM.",
        "",
        "A first start, with the account database in var/accounts.db:",
        "",
        "  export GATEWAY_TOKEN_SECRET=$(openssl rand -base64 32)   # keep it",
        "  export GATEWAY_DRUID_BROKER_URL=http://broker.example:8082",
        "  export GATEWAY_DRUID_COORDINATOR_URL=http://coordinator.example:8081",
        "  export GATEWAY_CATALOG=orders.yaml   # your data sets: docs/data-sets.md",
        "  gateway accounts migrate",
        "  gateway serve",
        "",
        "GET /readyz says whether reports can be answered. docs/operations.md",
        "describes how to run the gateway.",
        "",
        "Settings are environment variables, or keys of a TOML file that",
        "GATEWAY_SETTINGS_FILE or `gateway --settings FILE serve` names: GATEWAY_PORT",
        "is port. Variables win over the file; unknown names are rejected.",
        "A secret can be in a file: GATEWAY_TOKEN_SECRET_FILE=/run/secrets/token.",
    ]
    for title, fields in variables():
        lines += ["", title.upper().rstrip(".")]
        for variable, field in fields.items():
            default = "required" if field.is_required() else f"default: {default_of(field)}"
            description = (field.description or "").replace("`", "")
            lines += ["", f"{variable} ({default})", indent(fill(description, 76, break_long_words=False), "  ")]
    lines += [
        "",
        "TRACES",
        "",
        "OTEL_EXPORTER_OTLP_ENDPOINT and OpenTelemetry's other variables (default: no traces)",
        "  Where to send traces of requests: see docs/operations.md.",
    ]
    return "\b\n" + "\n".join(lines)


@app.command(help=_serve_help())
def serve(
    *,
    workers: Annotated[
        str, typer.Option(metavar="N", help="Processes that serve requests, or `auto`: one for each CPU.")
    ] = "1",
    worker: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    try:
        settings = Settings.from_environment()
        datasets = load_catalog(settings.catalog).values()
    except SettingsInvalid as error:
        _end(str(error), 2)
    except CatalogInvalid as error:
        _end(f"These data set files are wrong:\n{error}", 2)
    log_writer = configure_logging(settings.log_format)
    if file := exposed_settings_file(Settings):
        _log.warning("settings_file_exposed", file=file, remedy="the file contains a secret: chmod o-r FILE")
    try:
        try:
            _serve(settings, datasets, None if worker is None else Place.parse(worker), workers)
        finally:
            # An error message is the last line.
            log_writer.flush()
    except WorkersFailed as error:
        _end("The workers could not start.", error.code)
    except DatabaseNotReady as error:
        _end(str(error), 1)
    except ssl.SSLCertVerificationError as error:
        _end(f"Cannot start: a server's certificate is not trusted: {error.verify_message}.", 1)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        _end(
            f"Cannot listen on {settings.host}, port {settings.port} (metrics: {settings.metrics_port or 'no port'}): "
            f"{reason}. Set GATEWAY_HOST, GATEWAY_PORT and GATEWAY_METRICS_PORT to an address that is free.",
            1,
        )


def _serve(settings: Settings, datasets: Iterable[Dataset], place: Place | None, workers: str) -> None:
    if place is None and (number := _number_of(workers, settings)) > 1:
        supervise(settings, number)
        return
    # Imported here, because the other commands need no server, which takes most of the time to start.
    from gateway.cli.process import run_alone, run_worker  # noqa: PLC0415

    if place is None:
        run_alone(settings, datasets)
    else:
        run_worker(settings, datasets, place)


def _number_of(workers: str, settings: Settings) -> int:
    most = most_workers(settings)
    if workers == "auto":
        return min(len(os.sched_getaffinity(0)), most)
    if not workers.isdecimal() or not int(workers):
        _end("--workers is a number from 1, or `auto`.", 2)
    if int(workers) > most:
        _end(
            f"{workers} workers are too many for these settings: each needs two of GATEWAY_DRUID_QUERIES, one of "
            f"GATEWAY_DRUID_HEAVY_QUERIES and two of GATEWAY_DRUID_QUEUE. There can be {most}.",
            2,
        )
    return int(workers)


def _end(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    app()
