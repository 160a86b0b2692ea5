"""What a real Druid is hard to bring to: lookups that are being loaded, segments that differ."""

from pathlib import Path

import pytest

from gateway.catalog.compare import compare
from gateway.catalog.data_source import Column, DataSource, Schema, UnknownDataSource, merge
from gateway.catalog.load import load_catalog
from gateway.catalog.mismatch import Difference, faults
from gateway.catalog.model import Dataset

FILE = """\
name: orders
title: Orders
description: Orders.
data_source: orders
tenant: {column: customer}
dimensions:
  - {name: user_id, description: The user.}
  - {name: user_name, lookup: user_names, of: user_id, description: The user's name.}
  - {name: amount, type: double, description: The value., aggregations: [sum]}
rows: {count_metric: orders, granularity: hour}
"""
SCHEMA = Schema(
    {
        "customer": Column(frozenset({"STRING"})),
        "user_id": Column(frozenset({"STRING"})),
        "amount": Column(frozenset({"DOUBLE"})),
        "orders": Column(frozenset({"LONG"})),
    },
    {"orders": frozenset({"longSum"})},
    is_rolled_up=True,
    granularities=frozenset({"hour"}),
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    file = tmp_path / "orders.yaml"
    file.write_text(FILE)
    return load_catalog([file])["orders"]


def kinds(dataset: Dataset, found: DataSource | UnknownDataSource) -> list[Difference]:
    return [each.kind for each in faults(compare(dataset, found))]


@pytest.mark.parametrize(
    ("lookups", "found"),
    [
        ({"user_names": True, "others": False}, []),
        ({"user_names": False}, []),
        ({"user_name": True}, [Difference.LOOKUP_MISSING]),
        ({}, [Difference.LOOKUP_MISSING]),
        (None, []),
    ],
)
def test_each_lookup_has_to_exist(dataset: Dataset, lookups: dict[str, bool] | None, found: list[Difference]) -> None:
    assert kinds(dataset, DataSource(SCHEMA, lookups=lookups)) == found


def test_a_lookup_that_is_not_loaded_yet_is_a_note(dataset: Dataset) -> None:
    # Druid answers a query with it by an error, not by a number.
    (note,) = compare(dataset, DataSource(SCHEMA, lookups={"user_names": False}))
    assert (note.kind, note.is_fault) == (Difference.LOOKUP_NOT_LOADED, False)


@pytest.mark.parametrize(
    ("granularities", "fault"),
    [({"hour"}, False), ({"hour", "minute"}, False), ({"none"}, False), ({"day"}, True), ({"pt7m"}, True), ({}, False)],
)
def test_times_have_to_be_at_least_as_precise_as_declared(
    dataset: Dataset,
    granularities: set[str],
    fault: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    schema = merge([SCHEMA, Schema({}, granularities=frozenset(granularities))])
    schema = Schema(schema.columns, schema.aggregators, is_rolled_up=True, granularities=frozenset(granularities))
    assert kinds(dataset, DataSource(schema)) == [Difference.GRANULARITY] * fault


def test_rounded_times_have_to_be_declared_without_rollup_too(tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    for declared, found in (("", [Difference.GRANULARITY]), ("rows: {granularity: hour}", []), (None, [])):
        file.write_text(FILE.replace("rows: {count_metric: orders, granularity: hour}", declared or ""))
        granularities = frozenset({"none" if declared is None else "hour"})
        schema = Schema(SCHEMA.columns, SCHEMA.aggregators, granularities=granularities)
        assert kinds(load_catalog([file])["orders"], DataSource(schema)) == found


def test_rows_without_a_count_are_a_fault(dataset: Dataset) -> None:
    (fault,) = compare(dataset, DataSource(SCHEMA, rows_without={"orders": 12}))
    assert fault.message.startswith("rows: 12 rows have no value in the count_metric 'orders' and would not be counted")


def test_a_number_can_be_of_several_numeric_types(dataset: Dataset) -> None:
    for types, found in ((["LONG"], []), (["FLOAT"], []), (["STRING"], [Difference.COLUMN_TYPE])):
        schema = merge([SCHEMA, Schema({"amount": Column(frozenset(types))})])
        assert kinds(dataset, DataSource(schema)) == found


def test_one_segment_with_several_values_is_enough(dataset: Dataset) -> None:
    schema = merge([SCHEMA, Schema({"user_id": Column(frozenset({"STRING"}), multi_valued=True)})])
    assert kinds(dataset, DataSource(schema)) == [Difference.SEVERAL_VALUES]


def test_an_empty_data_source_is_a_note_and_an_unknown_one_a_fault(dataset: Dataset) -> None:
    assert kinds(dataset, DataSource(None)) == []
    (fault,) = compare(dataset, UnknownDataSource(("order", "users"), is_certain=True))
    assert (
        fault.message
        == "Druid has no data source 'orders' (did you mean 'order'?). Correct data_source, or ingest the first rows"
    )
