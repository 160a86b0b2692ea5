"""The words in which a data set is described.

Everything that depends on the columns of a data set (the JSON Schema, parsing, compiling, the catalog that callers can
read, the check of ingestion specs) is derived from these values and from nothing else.
"""

from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """The type that a dimension has in Druid; `value` is Druid's name for it."""

    STRING = "STRING"
    LONG = "LONG"
    DOUBLE = "DOUBLE"


@dataclass(frozen=True, slots=True)
class Dimension:
    """A public column: it can be filtered, grouped by and, as `aggregations` says, aggregated.

    `name` is also the name of Druid's raw column. `allowed`, where not empty, lists every value there is.
    `aggregations` are names of `gateway.query.aggregations.AGGREGATIONS`. `unique_metric` is the hyperUnique metric
    that the ingestion spec keeps of this column; a dimension that has the aggregation `hyperUnique` has one.
    """

    name: str
    description: str
    kind: Kind = Kind.STRING
    multi_valued: bool = False
    allowed: tuple[str, ...] = ()
    aggregations: tuple[str, ...] = ()
    unique_metric: str | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """A dimension without a filter on which a report is seldom what its author meant, and why."""

    dimension: str
    message: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table of events in Druid that callers can ask for reports.

    `owner_column` holds the organization that a row belongs to: the column that the forced tenant filter is on.
    `involved_column` holds every organization that took part, for callers who ask for a partner of theirs; it is no
    public dimension.
    """

    name: str
    title: str
    description: str
    data_source: str
    dimensions: tuple[Dimension, ...]
    advice: tuple[Advice, ...] = ()
    owner_column: str = "owner_organization_id"
    involved_column: str = "involved_organization_ids"
    by_name: dict[str, Dimension] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {dimension.name: dimension for dimension in self.dimensions})
        if len(self.by_name) != len(self.dimensions):
            raise ValueError(f"{self.name}: a dimension is named twice")
        for dimension in self.dimensions:
            if ("hyperUnique" in dimension.aggregations) != (dimension.unique_metric is not None):
                raise ValueError(f"{self.name}.{dimension.name}: hyperUnique and unique_metric go together")

    def having_aggregation(self, aggregation: str) -> tuple[str, ...]:
        """Names of the dimensions that `aggregation` can be computed of, in the catalog's order."""
        return tuple(d.name for d in self.dimensions if aggregation in d.aggregations)
