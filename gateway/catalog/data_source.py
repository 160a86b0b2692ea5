"""What Druid has: the columns of a data source, and what else a data set file must agree with. Pure.

https://druid.apache.org/docs/33.0.0/querying/segmentmetadataquery describes what Druid reports about columns.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

TIME = "__time"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. Segments can differ: `types` are Druid's names of all its types. A type of its own has a `COMPLEX<…>`.

    `multi_valued` is true if a row of any segment was ingested with several values.
    """

    types: frozenset[str]
    multi_valued: bool = False

    def __str__(self) -> str:
        return " and ".join(sorted(self.types))


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of some segments. `aggregators` has the types of the aggregators that combine a metric's values.

    `is_rolled_up` is true if any segment is. `granularities` are the precisions to which ingestion rounded times, in
    Druid's words and small letters, such as "none" and "hour".
    """

    columns: Mapping[str, Column]
    aggregators: Mapping[str, frozenset[str]] = field(default_factory=dict)
    is_rolled_up: bool = False
    granularities: frozenset[str] = frozenset()

    @classmethod
    def from_analysis(cls, analysis: Mapping[str, Any]) -> Self:
        """Read one element of Druid's response to a segmentMetadata query.

        Raises AttributeError, KeyError or TypeError if it has another form.
        """
        return cls(
            {
                name: Column(frozenset({column.get("typeSignature") or column["type"]}), column["hasMultipleValues"])
                for name, column in analysis["columns"].items()
                if name != TIME
            },
            {
                name: frozenset({aggregator["type"]})
                for name, aggregator in (analysis.get("aggregators") or {}).items()
                if aggregator is not None
            },
            bool(analysis.get("rollup")),
            frozenset(_granularity(analysis.get("queryGranularity"))),
        )


def _granularity(found: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    if isinstance(found, Mapping):
        found = "none" if found.get("type") == "none" else found.get("period", "of another kind")
    if found is not None:
        yield str(found).lower()


def merge(schemas: Iterable[Schema]) -> Schema:
    """Return one schema with the columns of all of them."""
    columns: dict[str, Column] = {}
    aggregators: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    is_rolled_up = False
    granularities: frozenset[str] = frozenset()
    for schema in schemas:
        is_rolled_up |= schema.is_rolled_up
        granularities |= schema.granularities
        for name, column in schema.columns.items():
            known = columns.get(name, column)
            columns[name] = Column(known.types | column.types, known.multi_valued or column.multi_valued)
        for name, types in schema.aggregators.items():
            aggregators[name] |= types
    return Schema(columns, dict(aggregators), is_rolled_up, granularities)


@dataclass(frozen=True, slots=True)
class DataSource:
    """What Druid has of a data set's data source.

    `schema` is None if the data source has no rows. `rows_without` counts the rows that have no value in a column,
    `rows_with_several_owners` those with several values in the tenant's column. `owners` are some of its values.
    `lookups` says of each lookup whether all servers have loaded it; None if that is not known.
    """

    schema: Schema | None
    rows_without: Mapping[str, int] = field(default_factory=dict)
    rows_with_several_owners: int = 0
    owners: frozenset[str] = frozenset()
    lookups: Mapping[str, bool] | None = None


@dataclass(frozen=True, slots=True)
class UnknownDataSource:
    """Druid has no data source of this name and, as far as it knows, never had one. `others` are those that it has.

    `is_certain` is false without a Coordinator: the data source may be empty.
    """

    others: tuple[str, ...]
    is_certain: bool
