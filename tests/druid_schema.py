"""How a stand-in for Druid answers the gateway's own requests about the columns of its data sets."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.catalog.model import Dataset
from tests.datasets import DATASETS

SEGMENT = {
    "interval": "2019-01-01T00:00:00.000Z/2019-02-01T00:00:00.000Z",
    "version": "1",
    "partitionNumber": 0,
    "locations": [{"type": "historical"}],
}
"""A segment that a historical serves."""


def is_about_columns(query: Mapping[str, Any]) -> bool:
    """Whether a native query is one of the gateway's own about columns, and no caller's."""
    return isinstance(query["intervals"], dict) and query.get("analysisTypes") != []


def answer(query: Mapping[str, Any], datasets: Iterable[Dataset] = DATASETS.values()) -> list[Any]:
    """Return columns that match the data sets of the data source, and no row without an owner."""
    if query["queryType"] == "segmentMetadata":
        found: dict[str, Any] = {}
        for dataset in datasets:
            if dataset.data_source == query["dataSource"]:
                found |= columns(dataset)
        return [{"columns": found, "rollup": False, "queryGranularity": {"type": "none"}, "aggregators": {}}]
    return [{"result": {each["name"]: 0 for each in query["aggregations"]}}]


def columns(dataset: Dataset) -> dict[str, Any]:
    """Return Druid's analysis of exactly the columns that a data set needs."""
    metrics = [each.unique_metric for each in dataset.dimensions if each.unique_metric is not None]
    return {
        **dict.fromkeys(metrics, column("COMPLEX<hyperUnique>")),
        **{
            each.column: column(each.kind.value, several=each.multi_valued)
            for each in dataset.dimensions
            if each.has_own_column
        },
        dataset.tenant.column: column(dataset.tenant.kind.value),
        **({} if dataset.tenant.partner_column is None else {dataset.tenant.partner_column: column("STRING")}),
    }


def column(type_: str, *, several: bool = False) -> dict[str, Any]:
    return {"typeSignature": type_, "type": type_, "hasMultipleValues": several, "errorMessage": None}
