"""What a data set of these tests is, and the parts of its ingestion spec and rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle.clock import shown
from tests.oracle.columns import Columns

Json = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """A data set: `original` are rows with public names, `stored` the same rows as Druid ingests them.

    The first of the `owners` has the second one as its partner. `step` is the precision of times in milliseconds.
    """

    name: str
    file: str
    columns: Columns
    owners: tuple[str, str, str]
    owner_dimension: str
    spec: Json
    original: Sequence[Row]
    stored: Sequence[Row]
    lookups: Mapping[str, Mapping[str, str]]
    step: int = 1


def spec_of(columns: Sequence[str | Json], metrics: Sequence[Json], granularity: Json, owner: str) -> Json:
    return {
        "dimensionsSpec": {"dimensions": list(columns)},
        "metricsSpec": list(metrics),
        "granularitySpec": granularity,
        "owner": owner,
    }


def several(name: str) -> Json:
    return {"name": name, "type": "string", "multiValueHandling": "SORTED_SET"}


def number_of(name: str, kind: str = "long") -> Json:
    return {"name": name, "type": kind}


def iso(at: int) -> str:
    return shown(at, "UTC").replace("+00:00", "Z")


def renamed(row: Row, names: Mapping[str, str | None]) -> Row:
    """Return the row with other keys; those that are None are left out."""
    return {new: value for key, value in row.items() if (new := names.get(key, key)) is not None}


def lines_of(rows: Sequence[Row]) -> Iterator[str]:
    return (json.dumps(row) + "\n" for row in rows)
