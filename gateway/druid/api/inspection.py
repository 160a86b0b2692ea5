"""What a broker says about the columns of a data source: their types, and how many rows lack a value.

https://druid.apache.org/docs/33.0.0/querying/segmentmetadataquery. None of these queries is a caller's.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.catalog.data_source import Schema, merge
from gateway.druid.api.broker import Broker
from gateway.druid.segments import Segment
from gateway.errors import InvalidDruidResponse

VALUES: Final = 21
"""Values of a column that are read at most."""


async def schema_of(broker: Broker, data_source: str, segments: Sequence[Segment], deadline: float) -> Schema:
    """Return the columns that these segments have. Raises NoAnswer or InvalidDruidResponse."""
    native: dict[str, Any] = {
        "queryType": "segmentMetadata",
        "dataSource": data_source,
        "intervals": _intervals(segments),
        "analysisTypes": ["aggregators", "queryGranularity", "rollup"],
        "aggregatorMergeStrategy": "lenient",
        "merge": True,
    }
    analyses = await broker.rows_of(native, deadline)
    try:
        if any(map(_differs, analyses)):
            # Druid does not say which types it could not merge.
            analyses = await broker.rows_of(native | {"merge": False}, deadline)
        return merge(map(Schema.from_analysis, analyses))
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidDruidResponse("The database did not describe its columns as expected.") from error


def _differs(analysis: Mapping[str, Any]) -> bool:
    if analysis.get("rollup") is None or analysis.get("queryGranularity") is None:
        return True
    return any(each.get("errorMessage") for each in analysis["columns"].values())


async def rows_without(
    broker: Broker, data_source: str, segments: Sequence[Segment], columns: Iterable[str], deadline: float
) -> Mapping[str, int]:
    """Return for each column how many rows of these segments have no value in it. Raises as schema_of."""
    filters = {column: {"type": "null", "column": column} for column in columns}
    return await _counts(broker, data_source, segments, filters, deadline)


async def rows_with_several(
    broker: Broker, data_source: str, segments: Sequence[Segment], column: str, deadline: float
) -> int:
    """Return how many rows of these segments have several values in the column. Raises as schema_of."""
    quoted = column.replace("\\", "\\\\").replace('"', '\\"')
    filters = {column: {"type": "expression", "expression": f'array_length(mv_to_array("{quoted}")) > 1'}}
    return (await _counts(broker, data_source, segments, filters, deadline))[column]


async def values_of(
    broker: Broker, data_source: str, segments: Sequence[Segment], column: str, deadline: float
) -> list[str | None]:
    """Return the first VALUES values of a column, in order, of all tenants: for operators only. Raises as schema_of."""
    native = {
        "queryType": "topN",
        "dataSource": data_source,
        "intervals": _intervals(segments),
        "granularity": "all",
        "dimension": {"type": "default", "dimension": column, "outputName": "value"},
        "metric": {"type": "dimension", "ordering": "lexicographic"},
        "threshold": VALUES,
        "aggregations": [],
    }
    try:
        return [each["value"] for row in await broker.rows_of(native, deadline) for each in row["result"]]
    except (KeyError, TypeError) as error:
        raise InvalidDruidResponse("The database did not list values as expected.") from error


async def _counts(
    broker: Broker,
    data_source: str,
    segments: Sequence[Segment],
    filters: Mapping[str, Mapping[str, Any]],
    deadline: float,
) -> Mapping[str, int]:
    native = {
        "queryType": "timeseries",
        "dataSource": data_source,
        "intervals": _intervals(segments),
        "granularity": "all",
        "aggregations": [
            {"type": "filtered", "name": name, "filter": filter_, "aggregator": {"type": "count", "name": name}}
            for name, filter_ in filters.items()
        ],
    }
    rows = await broker.rows_of(native, deadline)
    try:
        return {name: sum(row["result"][name] for row in rows) for name in filters}
    except (KeyError, TypeError) as error:
        raise InvalidDruidResponse("The database did not count rows as expected.") from error


def _intervals(segments: Iterable[Segment]) -> dict[str, Any]:
    return {"type": "segments", "segments": [each.descriptor() for each in segments]}
