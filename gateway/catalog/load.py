"""From files to data sets: all files are read, and every problem of all of them is reported at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.catalog.check import findings
from gateway.catalog.contradictions import column_of
from gateway.catalog.document import Document, Finding, InvalidYaml, Position, read_document
from gateway.catalog.id_format import id_format
from gateway.catalog.model import Advice, Dataset, Deprecation, Dimension, Kind, TenantColumns
from gateway.catalog.stored import Lookup, Metrics, Rows

EXAMPLES = Path(__file__).with_name("datasets")
"""The folder of the data sets that come with the gateway."""

LARGEST_FILE = 1_000_000
"""Bytes of one file."""

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of one file. Without a position it concerns the file as a whole."""

    file: Path
    message: str
    position: Position | None = None

    def __str__(self) -> str:
        where = "" if self.position is None else f":{self.position.line}:{self.position.column}"
        return f"{self.file}{where}: {self.message}"


class CatalogInvalid(Exception):
    """The data set files cannot be used; the message lists every problem of all of them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def load_catalog(paths: Iterable[Path] | None = None) -> Mapping[str, Dataset]:
    """Return the data sets of these files and folders by name; without paths, those that come with the gateway.

    Raises CatalogInvalid.
    """
    problems: list[Problem] = []
    datasets: dict[str, Dataset] = {}
    sources: dict[str, Path] = {}
    for file in _files((EXAMPLES,) if paths is None else paths, problems):
        try:
            document = read_document(_text(file))
        except InvalidYaml as error:
            problems.append(Problem(file, error.finding.message, error.finding.position))
            continue
        except (OSError, ValueError) as error:
            problems.append(Problem(file, str(error.strerror if isinstance(error, OSError) else error)))
            continue
        found = sorted([*document.findings, *findings(document), *_taken_name(document, sources)])
        problems += [Problem(file, finding.message, finding.position) for finding in found]
        if isinstance(document.value, dict) and isinstance(name := document.value.get("name"), str):
            sources.setdefault(name, file)
        if not found:
            dataset = _dataset(document.value)
            datasets[dataset.name] = dataset
    if problems:
        raise CatalogInvalid(problems)
    return MappingProxyType(datasets)


def _files(paths: Iterable[Path], problems: list[Problem]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        try:
            folder = path.is_dir()
            files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES) if folder else [path]
        except OSError as error:
            problems.append(Problem(path, str(error.strerror)))
            continue
        if not files:
            problems.append(Problem(path, "the folder contains no .yaml file"))
        for file in files:
            # A file that is named twice, or by its folder, too, is one file.
            if (absolute := file.absolute()) not in seen:
                seen.add(absolute)
                yield file


def _text(file: Path) -> str:
    """Raises OSError, or ValueError with a message."""
    if not file.exists():
        raise ValueError("there is no such file or folder")
    # A pipe would wait for its writer.
    if not file.is_file():
        raise ValueError("is not a regular file")
    with file.open("rb") as opened:
        content = opened.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"is larger than {LARGEST_FILE} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8: byte {error.start + 1} is wrong") from error


def _taken_name(document: Document, sources: Mapping[str, Path]) -> Iterator[Finding]:
    name = document.value.get("name") if isinstance(document.value, dict) else None
    if isinstance(name, str) and name in sources:
        yield Finding(document.position("name"), f"the data set in {sources[name]} has the name {name!r}, too")


def _dataset(value: dict[str, Any]) -> Dataset:
    return Dataset(
        name=value["name"],
        title=value["title"],
        description=value["description"],
        data_source=value["data_source"],
        tenant=_tenant(value["tenant"]),
        dimensions=tuple(_dimension(each, value) for each in value["dimensions"]),
        advice=tuple(Advice(each["dimension"], each["message"]) for each in value.get("advice", ())),
        rows=Rows(**value["rows"]) if "rows" in value else None,
        deprecation=_deprecation(value["deprecated"]) if "deprecated" in value else None,
    )


def _deprecation(value: dict[str, Any]) -> Deprecation:
    sunset = date.fromisoformat(value["sunset"]) if "sunset" in value else None
    return Deprecation(date.fromisoformat(value["since"]), sunset, value.get("link"))


def _tenant(value: dict[str, Any]) -> TenantColumns:
    kind = Kind[value.get("type", "string").upper()]
    name = value.get("id_format", "uuid" if kind is Kind.STRING else "integer")
    return TenantColumns(value["column"], value.get("partner_column"), kind, id_format(name))


def _dimension(value: dict[str, Any], dataset: dict[str, Any]) -> Dimension:
    # The dimension whose column and number of values per row this one has.
    source = next(each for each in dataset["dimensions"] if each["name"] == value["of"]) if "lookup" in value else value
    column = column_of(source) or ""
    return Dimension(
        name=value["name"],
        column=f"_{value['name']}" if "lookup" in value else column,
        description=value["description"],
        kind=Kind[value.get("type", "string").upper()],
        multi_valued=source.get("multi_valued", False),
        allowed=tuple(value.get("values", ())),
        aggregations=tuple(value.get("aggregations", ())),
        unique_metric=value.get("unique_metric"),
        lookup=Lookup(value["lookup"], column) if "lookup" in value else None,
        metrics=Metrics(**value["metrics"]) if "metrics" in value else None,
        rows_metric=dataset.get("rows", {}).get("count_metric"),
        default=tuple(value.get("default_filter", ())),
    )
