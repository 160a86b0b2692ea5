"""The columns of an answer, each with the type of its values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Literal

from gateway.catalog.model import Kind
from gateway.query.report import Report, once_per_report


class ColumnType(Enum):
    """The type of a column's values, each of which may also be null. A time is a text in ISO 8601 with an offset."""

    TIME = "time"
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an answer. `zone` is the time zone of a time column's values, in which they are written."""

    name: str
    kind: Literal["dimension", "metric"]
    type: ColumnType
    zone: str | None = None


_TYPES: Mapping[Kind, ColumnType] = MappingProxyType(
    {Kind.STRING: ColumnType.STRING, Kind.LONG: ColumnType.INTEGER, Kind.DOUBLE: ColumnType.FLOAT}
)


def columns_of(report: Report) -> tuple[Column, ...]:
    """Return the columns of the report's answer, in their order."""
    zone = report.interval.zone.key
    times = (Column(name, "dimension", ColumnType.TIME, zone) for name in report.time_columns)
    return (*times, *_other_columns(report))


@once_per_report
def _other_columns(report: Report) -> tuple[Column, ...]:
    return (
        *(Column(dimension.name, "dimension", _TYPES[dimension.kind]) for dimension in report.group_by),
        *(Column(column.name, "metric", ColumnType(column.result)) for column in report.columns),
    )
