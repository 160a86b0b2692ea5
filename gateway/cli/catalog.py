"""`gateway catalog`: commands for the people who write data set files."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.catalog.check import SCHEMA_FILE
from gateway.catalog.load import CatalogInvalid, load_catalog

app = typer.Typer(help="Check the files that describe data sets.", no_args_is_help=True)


@app.command()
def check(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Data set files, or folders of them."),
    ],
) -> None:
    """Read data set files as the gateway would, and list every problem with its line and column.

    The exit code is 1 if there is a problem.
    """
    try:
        datasets = load_catalog(paths)
    except CatalogInvalid as error:
        count = len(error.problems)
        typer.echo(f"{error}\n{count} problem{'s' * (count != 1)}", err=True)
        raise typer.Exit(1) from None
    for dataset in datasets.values():
        typer.echo(f"{dataset.name}: OK, {len(dataset.dimensions)} dimensions of {dataset.data_source}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a data set file, which lets editors complete and check its keys."""
    typer.echo(SCHEMA_FILE.read_text(encoding="utf-8"), nl=False)
