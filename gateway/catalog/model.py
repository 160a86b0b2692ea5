"""A data set: its data source in Druid, its tenant columns and its dimensions.

Everything that depends on a data set's columns (the JSON Schema of reports, parsing, compiling, the public description,
the check of ingestion specs) is derived from these values and from nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from types import MappingProxyType

from gateway.catalog.id_format import UUID, IdFormat
from gateway.catalog.stored import Lookup, Metrics, Rows


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

    `name` is the public name; `column` is the name of the column in Druid, or of the virtual column with the names of
    `lookup`. `allowed`, if not empty, lists every value. `aggregations` are keys of
    `gateway.query.aggregations.AGGREGATIONS`. `unique_metric` is the ingested hyperUnique metric of the column, if it
    exists. A dimension with `metrics` has no column: it can be aggregated, but neither filtered nor grouped by.
    `rows_metric` has the number of original rows that a rolled-up row stands for. A report without a filter on the
    dimension reads only rows with one of the `default` values, if there are any.
    """

    name: str
    column: str
    description: str
    kind: Kind = Kind.STRING
    multi_valued: bool = False
    allowed: tuple[str, ...] = ()
    aggregations: tuple[str, ...] = ()
    unique_metric: str | None = None
    lookup: Lookup | None = None
    metrics: Metrics | None = None
    rows_metric: str | None = None
    default: tuple[str, ...] = ()

    @property
    def has_own_column(self) -> bool:
        """Whether the data source has a column with the dimension's values."""
        return self.lookup is None and self.metrics is None


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

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return (self.column,) if self.partner_column is None else (self.column, self.partner_column)


@dataclass(frozen=True, slots=True)
class Advice:
    """A dimension that most reports should filter on, and the reason."""

    dimension: str
    message: str


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Since when callers should no longer use a data set, from when on it may be gone, and what to use instead."""

    since: date
    sunset: date | None = None
    link: str | None = None


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
    rows: Rows | None = None
    deprecation: Deprecation | None = None
    by_name: Mapping[str, Dimension] = field(init=False, repr=False, compare=False)
    """Every dimension by its name: those of the data set, then the time parts."""
    columns: Mapping[str, Dimension] = field(init=False, repr=False, compare=False)
    """The dimensions that reports can filter and group by, by name."""

    def __post_init__(self) -> None:
        by_name = {**{dimension.name: dimension for dimension in self.dimensions}, **TIME_PARTS}
        object.__setattr__(self, "by_name", MappingProxyType(by_name))
        columns = {name: dimension for name, dimension in by_name.items() if dimension.metrics is None}
        object.__setattr__(self, "columns", MappingProxyType(columns))

    @property
    def count_metric(self) -> str | None:
        """The metric with the number of original rows, if ingestion has merged rows."""
        return None if self.rows is None else self.rows.count_metric

    def having_aggregation(self, aggregation: str) -> tuple[str, ...]:
        """Names of the dimensions that allow `aggregation`, in the catalog's order."""
        return tuple(d.name for d in self.dimensions if aggregation in d.aggregations)
