"""Whether a data set file matches what Druid has. Pure.

Druid answers a query about a column or a data source that does not exist with 0 or null, not with an error. So a data
set with a fault is not served. Each check is one entry of `CHECKS`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from gateway.catalog.check import nearest
from gateway.catalog.data_source import Column, DataSource, Schema, UnknownDataSource
from gateway.catalog.model import Dataset, Dimension, Kind

_MOST_NAMES = 30


class Difference(StrEnum):
    """What can differ. The names are public: /readyz and `gateway catalog check --json` have them."""

    DATA_SOURCE_UNKNOWN = "data_source_unknown"
    DATA_SOURCE_EMPTY = "data_source_empty"
    COLUMN_MISSING = "column_missing"
    COLUMN_TYPE = "column_type"
    SEVERAL_VALUES = "several_values"
    SINGLE_VALUE = "single_value"
    TENANT_SEVERAL_VALUES = "tenant_several_values"
    TENANT_NULL = "tenant_null"
    METRIC_MISSING = "metric_missing"
    METRIC_TYPE = "metric_type"
    ROLLUP = "rollup"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference, and what to do about it. A note (not `is_fault`) does not affect any number."""

    kind: Difference
    message: str
    is_fault: bool = True


def compare(dataset: Dataset, found: DataSource | UnknownDataSource) -> tuple[Mismatch, ...]:
    """Return every difference between the data set and what Druid has."""
    if isinstance(found, UnknownDataSource):
        return (_unknown(dataset, found),)
    if found.schema is None:
        message = f"the data source {dataset.data_source!r} is empty: reports have no rows until some are ingested"
        return (Mismatch(Difference.DATA_SOURCE_EMPTY, message, is_fault=False),)
    return tuple(mismatch for check in CHECKS for mismatch in check(dataset, found, found.schema))


def faults(mismatches: Iterable[Mismatch]) -> tuple[Mismatch, ...]:
    """Return those that would make numbers wrong."""
    return tuple(each for each in mismatches if each.is_fault)


def _unknown(dataset: Dataset, found: UnknownDataSource) -> Mismatch:
    name = dataset.data_source
    hint = nearest(name, found.others) or f"; it has {_listed(found.others)}"
    if found.is_certain:
        message = f"Druid has no data source {name!r}{hint}. Correct data_source, or ingest the first rows"
    else:
        message = (
            f"Druid serves no data source {name!r}{hint}. Correct data_source; or, if it is only empty, set "
            "GATEWAY_DRUID_COORDINATOR_URL: the Coordinator knows empty data sources, too"
        )
    return Mismatch(Difference.DATA_SOURCE_UNKNOWN, message)


def _owner(dataset: Dataset, found: DataSource, schema: Schema) -> Iterator[Mismatch]:
    name = dataset.tenant.column
    column = schema.columns.get(name)
    if column is None:
        yield _missing("tenant: column", name, schema)
        return
    if column.types != {"STRING"}:
        yield Mismatch(
            Difference.COLUMN_TYPE,
            f"tenant: the column {name!r} is {column} in Druid and must be STRING: ingest it as one",
        )
    if rows := found.rows_without.get(name):
        yield Mismatch(
            Difference.TENANT_NULL,
            f"tenant: {_rows(rows)} no value in the column {name!r}, so that no organization would see "
            f"{'it' if rows == 1 else 'them'}: name the right column, or ingest the rows again with their owners",
        )
    if rows := found.rows_with_several_owners:
        yield Mismatch(
            Difference.TENANT_SEVERAL_VALUES,
            f"tenant: {_rows(rows)} several values in the column {name!r}, so that several organizations would see "
            f"{'it' if rows == 1 else 'them'}: name a column with one value in each row",
        )


def _partner(dataset: Dataset, _: DataSource, schema: Schema) -> Iterator[Mismatch]:
    name = dataset.tenant.partner_column
    if name is None:
        return
    column = schema.columns.get(name)
    if column is None:
        yield _missing("tenant: partner_column", name, schema)
    elif column.types != {"STRING"}:
        yield Mismatch(
            Difference.COLUMN_TYPE,
            f"tenant: the partner_column {name!r} is {column} in Druid and must be STRING: ingest it as one",
        )


def _dimensions(dataset: Dataset, _: DataSource, schema: Schema) -> Iterator[Mismatch]:
    for dimension in dataset.dimensions:
        where = f"dimension {dimension.name!r}"
        column = schema.columns.get(dimension.column)
        if column is None:
            yield _missing(f"{where}: column", dimension.column, schema)
        elif not column.types <= _ACCEPTED[dimension.kind]:
            yield Mismatch(Difference.COLUMN_TYPE, f"{where}: {_wrong_type(dimension, column)}")
        else:
            yield from _values(where, dimension, column)


def _values(where: str, dimension: Dimension, column: Column) -> Iterator[Mismatch]:
    if column.multi_valued and not dimension.multi_valued:
        yield Mismatch(
            Difference.SEVERAL_VALUES,
            f"{where}: rows have several values in the column {dimension.column!r}: add `multi_valued: true`",
        )
    elif dimension.multi_valued and not column.multi_valued:
        yield Mismatch(
            Difference.SINGLE_VALUE,
            f"{where}: no row has several values in the column {dimension.column!r} yet",
            is_fault=False,
        )
    if dimension.kind is Kind.DOUBLE and column.types == {"LONG"}:
        yield Mismatch(
            Difference.COLUMN_TYPE,
            f"{where}: the column {dimension.column!r} is LONG in Druid: `type: long` returns whole numbers",
            is_fault=False,
        )


def _wrong_type(dimension: Dimension, column: Column) -> str:
    declared = dimension.kind.name.lower()
    found = f"the column {dimension.column!r} is {column} in Druid, not {declared}"
    if len(column.types) > 1:
        return f"{found} alone: ingest the segments again that have another type"
    (type_,) = column.types
    if type_.startswith("ARRAY"):
        return f"{found}: arrays are not supported; ingest it as a string dimension with several values"
    if type_.startswith("COMPLEX"):
        return f"{found}: it can be a metric of a dimension, but not a dimension"
    return f"{found}: write `type: {_WRITTEN[type_]}`, or ingest it as {declared}"


def _unique_metrics(dataset: Dataset, _: DataSource, schema: Schema) -> Iterator[Mismatch]:
    for dimension in dataset.dimensions:
        name = dimension.unique_metric
        if name is None:
            continue
        where = f"dimension {dimension.name!r}"
        metrics = [each for each, column in schema.columns.items() if column.types == _HYPER_UNIQUE]
        metric = schema.columns.get(name)
        if metric is None:
            hint = nearest(name, metrics) or _alternatives(metrics)
            message = f"{where}: the data source has no metric {name!r}{hint}. Correct unique_metric or leave it out"
            yield Mismatch(Difference.METRIC_MISSING, message)
        elif metric.types != _HYPER_UNIQUE:
            yield Mismatch(
                Difference.METRIC_TYPE,
                f"{where}: the unique_metric {name!r} is {metric} in Druid, not a hyperUnique metric"
                f"{_alternatives(metrics)}. Correct unique_metric or leave it out",
            )


def _rollup(_dataset: Dataset, _: DataSource, schema: Schema) -> Iterator[Mismatch]:
    if schema.is_rolled_up:
        yield Mismatch(
            Difference.ROLLUP,
            "the data source is rolled up, so that a count would be the number of Druid's rows and not of the "
            "ingested ones: ingest it with `rollup: false`",
        )


CHECKS: tuple[Callable[[Dataset, DataSource, Schema], Iterator[Mismatch]], ...] = (
    _owner,
    _partner,
    _dimensions,
    _unique_metrics,
    _rollup,
)

_ACCEPTED: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        Kind.STRING: frozenset({"STRING"}),
        Kind.LONG: frozenset({"LONG"}),
        # Every number of these types is a double, up to 2^53.
        Kind.DOUBLE: frozenset({"DOUBLE", "FLOAT", "LONG"}),
    }
)
_WRITTEN: Mapping[str, str] = MappingProxyType(
    {"STRING": "string", "LONG": "long", "DOUBLE": "double", "FLOAT": "double"}
)
_HYPER_UNIQUE = frozenset({"COMPLEX<hyperUnique>"})


def _missing(where: str, name: str, schema: Schema) -> Mismatch:
    hint = nearest(name, schema.columns) or f"; it has {_listed(schema.columns)}"
    return Mismatch(Difference.COLUMN_MISSING, f"{where}: the data source has no column {name!r}{hint}")


def _alternatives(names: Iterable[str]) -> str:
    return f"; of this type are {_listed(names)}" if names else "; none of its columns has this type"


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _MOST_NAMES} more" if len(ordered) > _MOST_NAMES else ""
    return ", ".join(ordered[:_MOST_NAMES]) + more if ordered else "none"


def _rows(number: int) -> str:
    return f"{number} row{'s have' if number != 1 else ' has'}"
