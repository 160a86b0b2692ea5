"""What a data source stores in place of original rows and values: rolled-up rows, metrics, names in lookups."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

GRANULARITIES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "second": 1_000,
        "minute": 60_000,
        "five_minute": 300_000,
        "fifteen_minute": 900_000,
        "thirty_minute": 1_800_000,
        "hour": 3_600_000,
        "six_hour": 21_600_000,
        "day": 86_400_000,
    }
)
"""The precisions to which ingestion can round times, in UTC and in milliseconds."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that ingestion has merged, or whose times it has rounded.

    With rollup, one row of Druid stands for several original rows: `count_metric` has their number. `granularity` is
    the precision of times, a key of GRANULARITIES; None: exact.
    """

    count_metric: str | None = None
    granularity: str | None = None

    @property
    def step(self) -> int:
        """The precision of times in milliseconds."""
        return 1 if self.granularity is None else GRANULARITIES[self.granularity]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A lookup of Druid: the name of each id in a column of the data source."""

    name: str
    id_column: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """The names of the metrics that ingestion made of a dimension's values.

    `count` is the number of original rows that have a value. `hll`, `theta` and `quantiles` are sketches of Druid's
    extension datasketches; `hyper_unique` is the sketch of Druid itself.
    """

    sum: str | None = None
    count: str | None = None
    min: str | None = None
    max: str | None = None
    quantiles: str | None = None
    hll: str | None = None
    theta: str | None = None
    hyper_unique: str | None = None

    def names(self) -> Mapping[str, str]:
        """Return the names of the metrics that exist, by what they are."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {kind: name for kind, name in found.items() if name is not None}


METRICS_OF: Final[Mapping[str, tuple[frozenset[str], ...]]] = MappingProxyType(
    {
        "sum": (frozenset({"sum"}),),
        "avg": (frozenset({"sum", "count"}),),
        "min": (frozenset({"min"}),),
        "max": (frozenset({"max"}),),
        "quantile": (frozenset({"quantiles"}),),
        "hyperUnique": (frozenset({"hll"}), frozenset({"theta"}), frozenset({"hyper_unique"})),
    }
)
"""The metrics that each aggregation needs: all of one of these sets."""
