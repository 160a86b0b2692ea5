"""The data set files and the ingestion specs agree about every column."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.catalog.model import Dataset, Kind
from tests.datasets import DATASETS

SPECS = Path(__file__).parents[3] / "ingestion-specs"
TYPES = {Kind.STRING: "string", Kind.LONG: "long", Kind.DOUBLE: "double"}


def specs_of(dataset: Dataset) -> list[dict[str, Any]]:
    """Return every spec, batch or streaming, that fills the data set's data source."""
    found = [json.loads(path.read_text())["spec"] for path in sorted(SPECS.glob("**/*.json"))]
    return [spec for spec in found if spec["dataSchema"]["dataSource"] == dataset.data_source]


CASES = [(dataset, spec) for dataset in DATASETS.values() for spec in specs_of(dataset)]
each = pytest.mark.parametrize(("dataset", "spec"), CASES, ids=[dataset.name for dataset, _ in CASES])


def columns(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    listed = spec["dataSchema"]["dimensionsSpec"]["dimensions"]
    named = {column["name"]: column for column in listed}
    assert len(named) == len(listed)
    return named


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_every_data_set_has_a_spec(dataset: Dataset) -> None:
    assert specs_of(dataset)


@pytest.mark.parametrize("path", sorted(SPECS.glob("**/*.json")), ids=lambda path: path.name)
def test_every_spec_is_of_a_data_set(path: Path) -> None:
    spec = json.loads(path.read_text())["spec"]
    assert spec["dataSchema"]["dataSource"] in {dataset.data_source for dataset in DATASETS.values()}


@each
def test_a_spec_has_exactly_the_columns_of_its_data_set(dataset: Dataset, spec: dict[str, Any]) -> None:
    names = {dimension.name for dimension in dataset.dimensions}
    assert columns(spec).keys() == names | {dataset.tenant.partner_column}
    assert dataset.tenant.column in names


@each
def test_every_column_has_its_type_and_several_values_where_it_may(dataset: Dataset, spec: dict[str, Any]) -> None:
    found = columns(spec)
    for dimension in dataset.dimensions:
        name = dimension.name
        assert found[name]["type"] == TYPES[dimension.kind], name
        # A value that stands twice in an array counts once; nothing else is an array.
        assert found[name].get("multiValueHandling") == ("SORTED_SET" if dimension.multi_valued else None), name
        assert found[name].get("createBitmapIndex", True), name
    assert dataset.tenant.partner_column is not None
    assert found[dataset.tenant.partner_column]["multiValueHandling"] == "SORTED_SET"


@each
def test_every_column_that_has_hyper_unique_has_its_metric(dataset: Dataset, spec: dict[str, Any]) -> None:
    metrics = {metric["name"]: metric for metric in spec["dataSchema"]["metricsSpec"]}
    assert len(metrics) == len(spec["dataSchema"]["metricsSpec"])
    wanted = {each.unique_metric: each.name for each in dataset.dimensions if each.unique_metric}
    assert {name: m["fieldName"] for name, m in metrics.items() if m["type"] == "hyperUnique"} == wanted
    assert {name for name, metric in metrics.items() if metric["type"] != "hyperUnique"} == {"count"}
    assert metrics["count"]["type"] == "count"
    assert metrics.keys().isdisjoint(columns(spec))


@each
def test_a_row_stays_a_row(dataset: Dataset, spec: dict[str, Any]) -> None:
    granularity = spec["dataSchema"]["granularitySpec"]
    assert granularity["rollup"] is False, dataset.name
    assert granularity["queryGranularity"] == "none"
    assert spec["dataSchema"]["timestampSpec"]["column"] not in columns(spec)


# A stream is partitioned by the compaction that follows it.
@pytest.mark.parametrize(
    ("dataset", "spec"), [case for case in CASES if case[1]["tuningConfig"]["type"] == "index_parallel"]
)
def test_batch_rows_are_partitioned_by_their_owner(dataset: Dataset, spec: dict[str, Any]) -> None:
    partitions = spec["tuningConfig"]["partitionsSpec"]
    assert (partitions["type"], partitions["partitionDimensions"]) == ("range", [dataset.tenant.column])
    assert spec["tuningConfig"]["forceGuaranteedRollup"] is True
    assert columns(spec)[dataset.tenant.column]["type"] == "string"


@each
def test_a_stream_removes_nulls_from_the_lists_that_its_unique_metrics_count(
    dataset: Dataset, spec: dict[str, Any]
) -> None:
    """A hyperUnique metric counts null in a list as a value. Batch ingestion rejects such rows; a stream cannot."""
    if "consumerProperties" not in spec["ioConfig"]:
        return
    transforms = {each["name"]: each["expression"] for each in spec["dataSchema"]["transformSpec"]["transforms"]}
    counted = [each.column for each in dataset.dimensions if each.multi_valued and each.unique_metric]
    assert transforms == {column: f'filter((id) -> notnull(id), "{column}")' for column in counted}
