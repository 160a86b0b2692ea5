"""What comes with each data set of the catalog: an ingestion spec that makes it, and sample rows that fit.

And what no type says of a catalog module. A new data set is held to all of it without a change here.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.catalog import DATASETS
from gateway.catalog.model import Dataset, Kind
from gateway.ingest import parse
from gateway.query.aggregations import AGGREGATIONS
from gateway.query.compile import LABEL
from gateway.query.report import START_TIME

SPECS = Path(__file__).parents[3] / "ingestion-specs"


@pytest.fixture(params=DATASETS.values(), ids=list(DATASETS))
def dataset(request: pytest.FixtureRequest) -> Dataset:
    found: Dataset = request.param
    return found


def sample(dataset: Dataset, file: Path) -> list[dict[str, Any]]:
    program = SPECS / "samples" / f"{dataset.name}.py"
    subprocess.run([sys.executable, program, "--sessions", "400", "--out", file], check=True, capture_output=True)
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_its_ingestion_spec_makes_it(dataset: Dataset) -> None:
    spec = parse(f"{dataset.name}.json", (SPECS / f"{dataset.name}.json").read_text())
    assert spec.data_source == dataset.data_source


def test_its_ingestion_spec_keeps_the_rows_of_an_organization_together(dataset: Dataset) -> None:
    tuning = json.loads((SPECS / f"{dataset.name}.json").read_text())["spec"]["tuningConfig"]
    assert tuning["partitionsSpec"]["type"] == "range"
    assert tuning["partitionsSpec"]["partitionDimensions"] == [dataset.owner_column]


def test_its_sample_rows_have_its_columns_and_values(dataset: Dataset, tmp_path: Path) -> None:
    rows = sample(dataset, tmp_path / "rows.jsonl")
    types = {Kind.STRING: str, Kind.LONG: int, Kind.DOUBLE: float}
    for row in rows:
        assert row.keys() == {"timestamp", *dataset.by_name, dataset.involved_column}
        assert row[dataset.owner_column] in row[dataset.involved_column]
        for name, dimension in dataset.by_name.items():
            values = row[name] if dimension.multi_valued else [row[name]]
            assert all(value is None or type(value) is types[dimension.kind] for value in values), name
            assert not dimension.allowed or {*values} <= {*dimension.allowed, None}, name


def test_it_can_stand_in_a_url(dataset: Dataset) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", dataset.name)
    assert DATASETS[dataset.name] is dataset


def test_its_dimensions_leave_the_gateways_own_columns_alone(dataset: Dataset) -> None:
    """A virtual column that is named like a real one would stand in for it."""
    assert not {START_TIME, LABEL, "__time"} & dataset.by_name.keys()
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in dataset.by_name)


def test_which_organizations_were_involved_is_no_public_dimension(dataset: Dataset) -> None:
    assert dataset.involved_column not in dataset.by_name


def test_it_asks_for_aggregations_that_there_are_and_that_fit(dataset: Dataset) -> None:
    of_columns = {name for name, aggregation in AGGREGATIONS.items() if not aggregation.of_rows}
    for dimension in dataset.dimensions:
        assert {*dimension.aggregations} <= of_columns, dimension.name
        # Druid would answer 0 without a word.
        assert dimension.kind is not Kind.STRING or not {"avg", "sum"} & {*dimension.aggregations}, dimension.name


def test_its_advice_is_on_its_own_dimensions(dataset: Dataset) -> None:
    assert {advice.dimension for advice in dataset.advice} <= dataset.by_name.keys()


def test_everything_of_it_is_described(dataset: Dataset) -> None:
    texts = [dataset.title, dataset.description, *(dimension.description for dimension in dataset.dimensions)]
    assert all(text.strip() for text in texts)
    assert all(dimension.description.endswith(".") for dimension in dataset.dimensions)
