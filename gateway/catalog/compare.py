"""Whether a data set file matches what Druid has. Pure.

Druid answers a query about a column or a data source that does not exist with 0 or null, not with an error. So a data
set with a fault is not served. Each check is one entry of `CHECKS`.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from gateway.catalog.data_source import Column, DataSource, Schema, UnknownDataSource
from gateway.catalog.mismatch import Difference, Mismatch, alternatives, listed, missing, number, some
from gateway.catalog.model import Dataset, Dimension, Kind
from gateway.catalog.stored import GRANULARITIES
from gateway.catalog.wording import nearest


def compare(dataset: Dataset, found: DataSource | UnknownDataSource) -> tuple[Mismatch, ...]:
    """Return every difference between the data set and what Druid has."""
    if isinstance(found, UnknownDataSource):
        return (_unknown(dataset, found),)
    if found.schema is None:
        message = f"the data source {dataset.data_source!r} is empty: reports have no rows until some are ingested"
        return (Mismatch(Difference.DATA_SOURCE_EMPTY, message, is_fault=False),)
    return tuple(mismatch for check in CHECKS for mismatch in check(dataset, found, found.schema))


def _unknown(dataset: Dataset, found: UnknownDataSource) -> Mismatch:
    name = dataset.data_source
    hint = nearest(name, found.others) or f"; it has {listed(found.others)}"
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
        yield missing("tenant: column", name, schema)
        return
    if column.types != {dataset.tenant.kind.value}:
        yield Mismatch(
            Difference.COLUMN_TYPE,
            f"tenant: the column {name!r} is {column} in Druid, not {dataset.tenant.kind.name.lower()}: "
            "correct type (string or long), or ingest the column again",
        )
    elif found.owners and not any(map(dataset.tenant.id_format.accepts, found.owners)):
        yield Mismatch(
            Difference.TENANT_IDS,
            f"tenant: no value of the column {name!r} is an id of the form {dataset.tenant.id_format.name}, so that no "
            f"organization would see a row; it has {some(found.owners)}. Name the column with the owner's id, or "
            "correct id_format",
        )
    if rows := found.rows_without.get(name):
        yield Mismatch(
            Difference.TENANT_NULL,
            f"tenant: {number(rows)} no value in the column {name!r}, so that no organization would see "
            f"{'it' if rows == 1 else 'them'}: name the right column, or ingest the rows again with their owners",
        )
    if rows := found.rows_with_several_owners:
        yield Mismatch(
            Difference.TENANT_SEVERAL_VALUES,
            f"tenant: {number(rows)} several values in the column {name!r}, so that several organizations would see "
            f"{'it' if rows == 1 else 'them'}: name a column with one value in each row",
        )


def _partner(dataset: Dataset, _: DataSource, schema: Schema) -> Iterator[Mismatch]:
    name = dataset.tenant.partner_column
    if name is None:
        return
    column = schema.columns.get(name)
    if column is None:
        yield missing("tenant: partner_column", name, schema)
    elif column.types != {"STRING"}:
        yield Mismatch(
            Difference.COLUMN_TYPE,
            f"tenant: the partner_column {name!r} is {column} in Druid and must be STRING: ingest it as one",
        )


def _dimensions(dataset: Dataset, _: DataSource, schema: Schema) -> Iterator[Mismatch]:
    for dimension in filter(lambda each: each.has_own_column, dataset.dimensions):
        where = f"dimension {dimension.name!r}"
        column = schema.columns.get(dimension.column)
        if column is None:
            yield missing(f"{where}: column", dimension.column, schema)
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


def _metrics(dataset: Dataset, _: DataSource, schema: Schema) -> Iterator[Mismatch]:
    for dimension in dataset.dimensions:
        where = f"dimension {dimension.name!r}"
        if dimension.unique_metric is not None:
            yield from _metric(f"{where}: unique_metric", "hyper_unique", dimension.unique_metric, schema)
        for kind, name in ({} if dimension.metrics is None else dimension.metrics.names()).items():
            yield from _metric(f"{where}: metrics.{kind}", kind, name, schema)


def _metric(where: str, kind: str, name: str, schema: Schema) -> Iterator[Mismatch]:
    types, aggregators = _METRICS[kind]
    suitable = [
        each
        for each, column in schema.columns.items()
        if column.types <= types and (schema.aggregators.get(each) or _UNKNOWN) <= aggregators
    ]
    column = schema.columns.get(name)
    aggregator = schema.aggregators.get(name, frozenset())
    if column is None:
        hint = nearest(name, suitable) or alternatives(suitable)
        yield Mismatch(Difference.METRIC_MISSING, f"{where}: the data source has no metric {name!r}{hint}")
    # A number that is no metric of Druid's can have been computed before ingestion.
    elif not column.types <= types or not aggregator <= aggregators:
        found = f"{name!r} is {column} ({' and '.join(sorted(aggregator)) or 'no metric'}) in Druid"
        yield Mismatch(Difference.METRIC_TYPE, f"{where}: {found}{alternatives(suitable)}")


def _rows(dataset: Dataset, found: DataSource, schema: Schema) -> Iterator[Mismatch]:
    counts = [each for each, types in schema.aggregators.items() if types == {"longSum"}]
    name = dataset.count_metric
    if name is not None:
        yield from _count_metric(name, found, schema)
    elif schema.is_rolled_up:
        yield Mismatch(
            Difference.ROLLUP,
            "the data source is rolled up, so that a count would be the number of Druid's rows and not of the "
            f"ingested ones: add `rows: {{count_metric: …}}`{alternatives(counts)}",
        )
        return
    step = 1 if dataset.rows is None else dataset.rows.step
    if wrong := sorted(each for each in schema.granularities if step % _STEPS.get(each, step + 1)):
        yield Mismatch(
            Difference.GRANULARITY,
            f"rows: ingestion rounded times to {' and '.join(wrong)}: set granularity to the coarsest one",
        )


def _count_metric(name: str, found: DataSource, schema: Schema) -> Iterator[Mismatch]:
    yield from _metric("rows: count_metric", "count", name, schema)
    if name in schema.columns and (rows := found.rows_without.get(name)):
        yield Mismatch(
            Difference.METRIC_NULL,
            f"rows: {number(rows)} no value in the count_metric {name!r} and would not be counted: ingest them again",
        )
    if not schema.is_rolled_up:
        message = "rows: no segment is rolled up, so that Druid's own count is the same"
        yield Mismatch(Difference.ROLLUP, message, is_fault=False)


def _lookups(dataset: Dataset, found: DataSource, _: Schema) -> Iterator[Mismatch]:
    for dimension in dataset.dimensions:
        if dimension.lookup is None or found.lookups is None:
            continue
        name, where = dimension.lookup.name, f"dimension {dimension.name!r}"
        if name not in found.lookups:
            hint = nearest(name, found.lookups) or f"; it has {listed(found.lookups)}"
            message = f"{where}: Druid has no lookup {name!r}{hint}. Correct lookup, or add it to Druid"
            yield Mismatch(Difference.LOOKUP_MISSING, message)
        elif not found.lookups[name]:
            message = f"{where}: not every server has loaded the lookup {name!r} yet: until then, reports may be errors"
            yield Mismatch(Difference.LOOKUP_NOT_LOADED, message, is_fault=False)


CHECKS: tuple[Callable[[Dataset, DataSource, Schema], Iterator[Mismatch]], ...] = (
    _owner,
    _partner,
    _dimensions,
    _metrics,
    _rows,
    _lookups,
)

_UNKNOWN = frozenset({"unknown"})
_NUMBER = frozenset({"LONG", "DOUBLE", "FLOAT"})
_METRICS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = MappingProxyType(
    {
        "sum": (_NUMBER, frozenset({"longSum", "doubleSum", "floatSum"})),
        "count": (frozenset({"LONG"}), frozenset({"longSum"})),
        "min": (_NUMBER, frozenset({"longMin", "doubleMin", "floatMin"})),
        "max": (_NUMBER, frozenset({"longMax", "doubleMax", "floatMax"})),
        "quantiles": (
            frozenset({"COMPLEX<quantilesDoublesSketch>"}),
            frozenset({"quantilesDoublesSketchMerge", "quantilesDoublesSketch"}),
        ),
        "hll": (frozenset({"COMPLEX<HLLSketch>"}), frozenset({"HLLSketchMerge", "HLLSketchBuild"})),
        "theta": (frozenset({"COMPLEX<thetaSketch>"}), frozenset({"thetaSketch"})),
        "hyper_unique": (frozenset({"COMPLEX<hyperUnique>"}), frozenset({"hyperUnique"})),
    }
)
"""Each key of `metrics`: the types of its column, and of the aggregators that combine its values."""
_STEPS: Mapping[str, int] = MappingProxyType({"none": 1, **GRANULARITIES})
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
