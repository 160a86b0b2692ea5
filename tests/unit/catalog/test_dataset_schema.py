"""The published JSON Schema and the loader agree, since the loader uses the schema for all that it can express."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from gateway.catalog.check import SCHEMA_FILE
from gateway.catalog.load import EXAMPLES, load_catalog
from gateway.catalog.model import AGGREGATIONS_OF, Kind
from gateway.query.aggregations import AGGREGATIONS
from gateway.query.literals import COLUMN_NAME
from gateway.query.report import START_TIME
from tests.unit.catalog.conftest import VALID

ROOT = Path(__file__).parents[3]
SCHEMA: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
DIMENSION: dict[str, Any] = SCHEMA["properties"]["dimensions"]["items"]["properties"]
FILES = sorted(EXAMPLES.glob("*.yaml"))


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)


def test_it_is_a_schema_that_rejects_unknown_keys_and_describes_each_key() -> None:
    Draft7Validator.check_schema(SCHEMA)
    found = list(objects(SCHEMA))
    assert len(found) == 7
    for each in found:
        assert each["additionalProperties"] is False
        assert all(part["description"].endswith(".") for part in each["properties"].values())


def test_its_types_are_those_of_the_model() -> None:
    assert DIMENSION["type"]["enum"] == [kind.name.lower() for kind in Kind]


def test_its_aggregations_are_those_of_the_query_language() -> None:
    listed = set(DIMENSION["aggregations"]["items"]["enum"])
    assert listed == {name for name, aggregation in AGGREGATIONS.items() if not aggregation.of_rows}
    assert listed == {name for names in AGGREGATIONS_OF.values() for name in names}


def test_a_dimension_can_be_named_like_a_metric_but_not_like_the_gateways_columns() -> None:
    name = SCHEMA["definitions"]["dimension_name"]
    assert name["pattern"] == COLUMN_NAME
    assert {START_TIME, *(each.suffix({}) for each in AGGREGATIONS.values() if each.of_rows)} <= {*name["not"]["enum"]}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_examples_name_it_in_their_first_line_for_editors(file: Path) -> None:
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", file.read_text().split("\n")[0])
    assert found is not None
    assert (file.parent / found[1]).resolve() == SCHEMA_FILE.resolve()
    assert load_catalog([file]).keys() == {file.stem}


@pytest.mark.parametrize("text", [VALID, *(file.read_text() for file in FILES)])
def test_an_editor_accepts_what_the_loader_accepts(text: str) -> None:
    assert Draft7Validator(SCHEMA).is_valid(YAML(typ="safe", pure=True).load(text))


def test_the_names_of_data_sets_appear_in_data_set_files_only() -> None:
    names = [file.stem for file in FILES]
    for file in (ROOT / "gateway").rglob("*.py"):
        assert not [name for name in names if name in file.read_text()], file


def test_everything_is_described_in_sentences() -> None:
    for dataset in load_catalog().values():
        assert dataset.description.endswith(".")
        assert all(dimension.description.endswith(".") for dimension in dataset.dimensions)
