"""Each data set that comes with the gateway has an ingestion spec that makes it, and sample rows that fit."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.catalog.model import Dataset, Kind
from gateway.ingest import parse
from tests.datasets import DATASETS

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
    spec = parse(f"{dataset.name}.json", (SPECS / f"{dataset.name}.json").read_text(), DATASETS)
    assert spec.data_source == dataset.data_source


def test_its_ingestion_spec_keeps_the_rows_of_an_organization_together(dataset: Dataset) -> None:
    tuning = json.loads((SPECS / f"{dataset.name}.json").read_text())["spec"]["tuningConfig"]
    assert tuning["partitionsSpec"]["type"] == "range"
    assert tuning["partitionsSpec"]["partitionDimensions"] == [dataset.tenant.column]


def test_its_sample_rows_have_its_columns_and_values(dataset: Dataset, tmp_path: Path) -> None:
    rows = sample(dataset, tmp_path / "rows.jsonl")
    types = {Kind.STRING: str, Kind.LONG: int, Kind.DOUBLE: float}
    for row in rows:
        assert dataset.tenant.partner_column is not None
        assert row.keys() == {"timestamp", *(d.name for d in dataset.dimensions), dataset.tenant.partner_column}
        assert row[dataset.tenant.column] in row[dataset.tenant.partner_column]
        for name, dimension in ((d.name, d) for d in dataset.dimensions):
            values = row[name] if dimension.multi_valued else [row[name]]
            assert all(value is None or type(value) is types[dimension.kind] for value in values), name
            assert not dimension.allowed or {*values} <= {*dimension.allowed, None}, name


def test_everything_of_it_is_described(dataset: Dataset) -> None:
    texts = [dataset.title, dataset.description, *(dimension.description for dimension in dataset.dimensions)]
    assert all(text.strip() for text in texts)
    assert all(dimension.description.endswith(".") for dimension in dataset.dimensions)
