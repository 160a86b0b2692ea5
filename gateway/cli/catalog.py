"""`gateway catalog`: commands for the people who write data set files."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from gateway.catalog.check import SCHEMA, SCHEMA_FILE
from gateway.catalog.draft import Inspection
from gateway.catalog.draft import draft as drafted
from gateway.catalog.load import CatalogInvalid, load_catalog
from gateway.catalog.mismatch import Mismatch, faults
from gateway.catalog.model import Dataset
from gateway.catalog.wording import nearest
from gateway.configuration import SettingsInvalid
from gateway.druid.api.broker import Broker
from gateway.druid.api.coordinator import Coordinator
from gateway.druid.api.http import ServiceError
from gateway.druid.api.security import OPEN, Security
from gateway.druid.api.status import version
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.inspector import inspect
from gateway.druid.schema_reader import REQUEST_SECONDS, SchemaNotRead, SchemaReader
from gateway.settings import CommandSettings

CANNOT_CHECK: Final = 2
"""The exit code if an option or a setting is wrong, or if Druid could not be reached: the check is not complete."""

BrokerOption = Annotated[
    str | None,
    typer.Option(help="The URL of Druid's Broker, instead of GATEWAY_DRUID_BROKER_URL.", metavar="URL"),
]
CoordinatorOption = Annotated[
    str | None,
    typer.Option(
        help="The URL of Druid's Coordinator, which knows empty data sources and lookups, instead of "
        "GATEWAY_DRUID_COORDINATOR_URL.",
        metavar="URL",
    ),
]
Comparison = tuple[Mismatch, ...] | SchemaNotRead
_NAME: Final = re.compile(SCHEMA["definitions"]["dataset_name"]["pattern"])

app = typer.Typer(help="Write and check the files that describe data sets.", no_args_is_help=True)


@app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE…]",
            help="Data set files, or folders of them. Without any: those of GATEWAY_CATALOG, or the examples.",
        ),
    ] = None,
    *,
    broker: BrokerOption = None,
    coordinator: CoordinatorOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read data set files as the gateway would, list every problem, and compare the files with Druid.

    Files and URLs that are not given are those of the gateway's settings. Without a Broker's URL only the files are
    checked. The exit code is 0 if everything matches, 1 if there is a problem, and 2 if an option or a setting is
    wrong or Druid cannot be reached.
    """
    settings = _settings()
    try:
        datasets = load_catalog(paths or settings.catalog).values()
    except CatalogInvalid as error:
        if as_json:
            typer.echo(json.dumps({"data_sets": [], "problems": _problems(error)}, indent=2))
        else:
            count = len(error.problems)
            typer.echo(f"{error}\n{count} problem{'s' * (count != 1)}", err=True)
        raise typer.Exit(1) from None
    compared: Mapping[str, Comparison] = {}
    unreachable: ServiceError | None = None
    # The setting has a default, which may be no Druid at all.
    if broker is not None or "druid_broker_url" in settings.model_fields_set:
        brokers, coordinators, security = _druid(settings, broker, coordinator)
        compared = asyncio.run(compare_with_druid(datasets, brokers, coordinators, security))
        unreachable = asyncio.run(_unreachable(coordinators, security))
    if as_json:
        found = [_as_json(dataset, compared.get(dataset.name)) for dataset in datasets]
        typer.echo(json.dumps({"data_sets": found, "problems": []}, indent=2))
    else:
        for dataset in datasets:
            _print(dataset, compared.get(dataset.name))
    if unreachable:
        # Most comparisons need no Coordinator, but a gateway does.
        typer.echo(f"GATEWAY_DRUID_COORDINATOR_URL: {unreachable}", err=True)
    raise typer.Exit(_exit_code(compared.values()) or (CANNOT_CHECK if unreachable else 0))


@app.command()
def draft(
    data_source: Annotated[str, typer.Argument(metavar="DATA_SOURCE", help="The data source's name in Druid.")],
    *,
    name: Annotated[
        str, typer.Option(help="The data set's name in URLs. The default follows from the data source's.")
    ] = "",
    output: Annotated[Path | None, typer.Option(help="Write to this file, which must not exist.")] = None,
    broker: BrokerOption = None,
    coordinator: CoordinatorOption = None,
) -> None:
    """Write a first file for a data source, from its columns and values in Druid. Uncertain points are comments.

    The exit code is 1 if Druid has no rows of the data source or the file cannot be written, and 2 if an option or a
    setting is wrong or Druid cannot be reached.
    """
    if name and not _NAME.fullmatch(name):
        _end(f"--name: {name!r} is not a letter, then letters, digits or underscores, at most 64 in all.")
    try:
        found = asyncio.run(_inspect(data_source, *_druid(_settings(), broker, coordinator)))
    except SchemaNotRead as error:
        _end(f"Druid cannot be read: {error}")
    if isinstance(found, tuple):
        others = f"It has {', '.join(found)}" if found else "It has none"
        typer.echo(f"Druid serves no data source {data_source!r}{nearest(data_source, found)}. {others}.", err=True)
        raise typer.Exit(1)
    text = drafted(name or re.sub(r"\W", "_", data_source, flags=re.ASCII).lstrip("_0123456789")[:64] or "data", found)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        typer.echo(f"{output} cannot be written: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{output} is written. Check its comments, then run: gateway catalog check {output}")


async def _inspect(
    data_source: str, brokers: Sequence[ServiceUrl], coordinators: Sequence[ServiceUrl], security: Security
) -> Inspection | tuple[str, ...]:
    """Return what Druid has; the names of its data sources if it does not have this one."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker(brokers[0], security))
        coordinator = await stack.enter_async_context(Coordinator(coordinators, security)) if coordinators else None
        found = await inspect(broker, coordinator, data_source)
        if found is None:
            return tuple(sorted(await broker.data_sources(asyncio.get_running_loop().time() + REQUEST_SECONDS)))
        return found


@app.command()
def schema() -> None:
    """Print the JSON Schema of a data set file, which lets editors complete and check its keys."""
    typer.echo(SCHEMA_FILE.read_text(encoding="utf-8"), nl=False)


async def compare_with_druid(
    datasets: Iterable[Dataset],
    brokers: Sequence[ServiceUrl],
    coordinators: Sequence[ServiceUrl],
    security: Security = OPEN,
) -> Mapping[str, Comparison]:
    """Return for each data set how it differs from what Druid has, or why that could not be read."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker(brokers[0], security))
        coordinator = await stack.enter_async_context(Coordinator(coordinators, security)) if coordinators else None

        async def compare(dataset: Dataset) -> Comparison:
            try:
                return await SchemaReader(dataset, coordinator).mismatches(broker)
            except SchemaNotRead as error:
                return error

        names = [dataset.name for dataset in datasets]
        found = await asyncio.gather(*map(compare, datasets))
        return dict(zip(names, found, strict=True))


async def _unreachable(coordinators: Iterable[ServiceUrl], security: Security) -> ServiceError | None:
    """Return why a Coordinator does not respond as one."""
    for each in coordinators:
        try:
            await version("coordinator", each, security)
        except ServiceError as error:
            return error
    return None


def _settings() -> CommandSettings:
    try:
        return CommandSettings.from_environment()
    except SettingsInvalid as error:
        _end(str(error))


def _druid(
    settings: CommandSettings, broker: str | None, coordinator: str | None
) -> tuple[Sequence[ServiceUrl], Sequence[ServiceUrl], Security]:
    """Return the URLs of the options, or else of the settings, and the credentials of the settings."""
    brokers = _urls("--broker", broker, settings.druid_broker_url)
    coordinators = _urls("--coordinator", coordinator, settings.druid_coordinator_url)
    try:
        settings.druid_security.check([*brokers, *coordinators])
    except ValueError as error:
        _end(f"{error}.")
    return brokers, coordinators, settings.druid_security


def _urls(option: str, text: str | None, setting: Sequence[ServiceUrl]) -> Sequence[ServiceUrl]:
    if text is None:
        return setting
    try:
        return [ServiceUrl(each.strip()) for each in text.split(",")]
    except ValueError as error:
        _end(f"{option}: {error}.")


def _end(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(CANNOT_CHECK)


def _print(dataset: Dataset, compared: Comparison | None) -> None:
    dimensions = len(dataset.dimensions)
    if compared is None:
        typer.echo(
            f"{dataset.name}: OK, {dimensions} dimensions of {dataset.data_source}; not compared with Druid "
            "(set GATEWAY_DRUID_BROKER_URL)"
        )
    elif isinstance(compared, SchemaNotRead):
        typer.echo(f"{dataset.name}: not compared with Druid: {compared}", err=True)
    else:
        for each in compared:
            label = "" if each.is_fault else "note: "
            typer.echo(f"{dataset.name}: {label}{each.message}", err=each.is_fault)
        if not faults(compared):
            typer.echo(f"{dataset.name}: OK, {dimensions} dimensions match {dataset.data_source} in Druid")


def _as_json(dataset: Dataset, compared: Comparison | None) -> dict[str, Any]:
    found = compared if isinstance(compared, tuple) else ()
    return {
        "name": dataset.name,
        "data_source": dataset.data_source,
        "compared": isinstance(compared, tuple),
        "error": str(compared) if isinstance(compared, SchemaNotRead) else None,
        "faults": [{"kind": each.kind, "message": each.message} for each in found if each.is_fault],
        "notes": [{"kind": each.kind, "message": each.message} for each in found if not each.is_fault],
    }


def _problems(error: CatalogInvalid) -> list[dict[str, Any]]:
    return [
        {
            "file": str(each.file),
            "line": each.position and each.position.line,
            "column": each.position and each.position.column,
            "message": each.message,
        }
        for each in error.problems
    ]


def _exit_code(compared: Iterable[Comparison]) -> int:
    results = list(compared)
    if any(isinstance(each, tuple) and faults(each) for each in results):
        return 1
    return CANNOT_CHECK if any(isinstance(each, SchemaNotRead) for each in results) else 0
