"""A data set: its data source in Druid, its tenant columns and its dimensions.

Everything that depends on a data set's columns (the JSON Schema of reports, parsing, compiling, the public description,
the check of ingestion specs) is derived from these values and from nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from gateway.catalog.id_format import UUID, IdFormat


class Kind(Enum):
    """The type of a dimension's column; `value` is Druid's name for it."""

    STRING = "STRING"
    LONG = "LONG"
    DOUBLE = "DOUBLE"


AGGREGATIONS_OF: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.STRING: ("hyperUnique",),
        Kind.LONG: ("avg", "sum", "min", "max", "quantile", "hyperUnique"),
        Kind.DOUBLE: ("avg", "sum", "min", "max", "quantile"),
    }
)
"""The aggregations that can be computed from a column of each type."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A public column that callers can filter and group by, and aggregate as `aggregations` allows.

    `name` is the public name; `column` is the name of the column in Druid. `allowed`, if not empty, lists every value.
    `aggregations` are keys of `gateway.query.aggregations.AGGREGATIONS`. `unique_metric` is the ingested hyperUnique
    metric of the column, if there is one.
    """

    name: str
    column: str
    description: str
    kind: Kind = Kind.STRING
    multi_valued: bool = False
    allowed: tuple[str, ...] = ()
    aggregations: tuple[str, ...] = ()
    unique_metric: str | None = None


TIME_PARTS: Mapping[str, Dimension] = MappingProxyType(
    {
        name: Dimension(name, f"_{name}", description, Kind.LONG)
        for name, description in {
            "hour_of_day": "The hour of the row's local time, 0 to 23.",
            "day_of_week": "The day of the week of the row's local time, from 1 for Monday to 7 for Sunday.",
            "day_of_month": "The day of the month of the row's local time, 1 to 31.",
            "month_of_year": "The month of the row's local time, 1 to 12.",
        }.items()
    }
)
"""The dimensions that every data set has. Their columns are computed from a row's time for each query."""


@dataclass(frozen=True, slots=True)
class TenantColumns:
    """The columns that decide which rows a tenant may see.

    `column` contains the id of the organization that owns the row. `partner_column` contains the ids of all
    organizations that were involved in it, for callers who ask for one of their partners; it is never a dimension.
    `kind` is the type of `column`: STRING or LONG.
    """

    column: str
    partner_column: str | None = None
    kind: Kind = Kind.STRING
    id_format: IdFormat = UUID


@dataclass(frozen=True, slots=True)
class Advice:
    """A dimension that most reports should filter on, and the reason."""

    dimension: str
    message: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table of events in Druid that callers can query."""

    name: str
    title: str
    description: str
    data_source: str
    tenant: TenantColumns
    dimensions: tuple[Dimension, ...]
    advice: tuple[Advice, ...] = ()
    by_name: Mapping[str, Dimension] = field(init=False, repr=False, compare=False)
    """Every dimension that a report can use by its name: those of the data set, then the time parts."""

    def __post_init__(self) -> None:
        by_name = {dimension.name: dimension for dimension in self.dimensions}
        object.__setattr__(self, "by_name", MappingProxyType({**by_name, **TIME_PARTS}))

    def having_aggregation(self, aggregation: str) -> tuple[str, ...]:
        """Names of the dimensions that allow `aggregation`, in the catalog's order."""
        return tuple(d.name for d in self.dimensions if aggregation in d.aggregations)
