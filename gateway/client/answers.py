"""What the gateway answers. The names are those of the JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.client.exchange import Response
from gateway.client.reports import Moments

Cell = str | int | float | None
Row = list[Cell]
Description = Mapping[str, Any]
"""What a report on a data set can ask for."""
Explanation = Mapping[str, Any]
"""How the gateway understands a report."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column."""

    name: str
    type: Literal["dimension", "metric"]


@dataclass(frozen=True, slots=True)
class ReportWarning:
    """What the caller must know about the numbers. `pointer` is a JSON Pointer into the report."""

    code: str
    message: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Freshness:
    """Until when the numbers are final, and the starts of the buckets that may change."""

    complete_until: str
    partial: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a report, in the order of the report's columns and rows."""

    fields: tuple[Field, ...]
    data: list[Row]
    totals: Row | None
    other: list[Row] | None
    interval: Moments | None
    freshness: Freshness | None
    warnings: tuple[ReportWarning, ...]
    request_id: str | None

    def records(self) -> list[dict[str, Cell]]:
        """Return each row with the names of its columns."""
        names = [field.name for field in self.fields]
        return [dict(zip(names, row, strict=True)) for row in self.data]


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization that the credential can use, with the names of its data sets."""

    id: str
    name: str
    is_partner: bool
    data_sets: tuple[str, ...]


def read_answer(response: Response) -> Answer:
    """Read the response to a report."""
    found: Any = json.loads(response.body)
    freshness = found.get("freshness")
    return Answer(
        fields=tuple(Field(each["name"], each["type"]) for each in found["fields"]),
        data=found["data"],
        totals=found.get("totals"),
        other=found.get("other"),
        interval=found.get("interval"),
        freshness=freshness and Freshness(freshness["complete_until"], tuple(freshness["partial"])),
        warnings=tuple(
            ReportWarning(each["code"], each["message"], each["pointer"]) for each in found.get("warnings", ())
        ),
        request_id=response.request_id,
    )


def read_organizations(response: Response) -> list[Organization]:
    """Read the list of organizations."""
    found: Any = json.loads(response.body)
    return [
        Organization(each["id"], each["name"], each["is_partner"], tuple(set_["name"] for set_ in each["data_sets"]))
        for each in found["organizations"]
    ]


def read_values(response: Response) -> list[tuple[Cell, int]]:
    """Read the values of a dimension, each with its number of rows."""
    found: Any = json.loads(response.body)
    return [(value, count) for value, count in found["values"]]


def read_object(response: Response) -> Mapping[str, Any]:
    """Read a JSON object as it is."""
    found: Mapping[str, Any] = json.loads(response.body)
    return found
