"""A batch spec is compared with the catalog before Druid sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.druid.intervals import TimeRange
from gateway.ingest.batch.spec import BatchSpec, parse
from gateway.ingest.errors import InvalidSpec
from tests.datasets import DATASETS

SHIPPED = (Path(__file__).parents[3] / "ingestion-specs" / "chat_sessions.json").read_text()

Task = dict[str, Any]


def problems(change: Callable[[Task], object]) -> tuple[str, ...]:
    task = json.loads(SHIPPED)
    change(task)
    with pytest.raises(InvalidSpec) as caught:
        parse("spec.json", json.dumps(task), DATASETS)
    assert str(caught.value).startswith("spec.json was not sent to Druid:")
    return caught.value.problems


def schema(task: Task) -> Task:
    data_schema: Task = task["spec"]["dataSchema"]
    return data_schema


def column(task: Task, name: str) -> Task:
    return next(d for d in schema(task)["dimensionsSpec"]["dimensions"] if d["name"] == name)


def metric(task: Task, name: str) -> Task:
    return next(m for m in schema(task)["metricsSpec"] if m["name"] == name)


def test_the_shipped_spec_fills_the_catalogs_data_set() -> None:
    spec = parse("chat_sessions.json", SHIPPED, DATASETS)
    assert (spec.data_source, spec.intervals, spec.passes) == (
        "chat_sessions",
        (TimeRange.parse("2018-12-01/2020-02-01"),),
        2,
    )


def test_the_shipped_spec_partitions_by_tenant_and_accepts_no_unparseable_row() -> None:
    tuning = json.loads(SHIPPED)["spec"]["tuningConfig"]
    assert tuning["partitionsSpec"]["type"] == "range"
    assert tuning["partitionsSpec"]["partitionDimensions"] == ["owner_organization_id"]
    assert tuning["forceGuaranteedRollup"] is True
    assert tuning["maxParseExceptions"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda task: column(task, "sales").update(name="sale"), ["lacks sales (double)", "it has 'sale'"]),
        (lambda task: column(task, "sales").update(type="long"), ["sales is 'long'", "'double'"]),
        (lambda task: column(task, "order_count").pop("type"), ["order_count is 'string'", "'long'"]),
        (lambda task: column(task, "room_ids").pop("multiValueHandling"), ["room_ids", "SORTED_SET", "counted twice"]),
        (
            lambda task: column(task, "involved_organization_ids").update(multiValueHandling="ARRAY"),
            ["involved_organization_ids", "SORTED_SET"],
        ),
        (lambda task: column(task, "owner_organization_id").update(name="x"), ["lacks owner_organization_id (string)"]),
        (lambda task: column(task, "involved_organization_ids").update(name="x"), ["lacks involved_organization_ids"]),
        (lambda task: metric(task, "visitor_ids_unique").update(name="y"), ["lacks visitor_ids_unique (hyperUnique"]),
        (lambda task: metric(task, "visitor_ids_unique").update(fieldName="room_ids"), ["of 'room_ids'"]),
        (lambda task: metric(task, "visitor_ids_unique").update(type="thetaSketch"), ["is 'thetaSketch'"]),
        (lambda task: schema(task)["granularitySpec"].update(rollup=True), ["rollup must be false"]),
        (lambda task: schema(task)["granularitySpec"].pop("rollup"), ["rollup must be false"]),
        (lambda task: schema(task)["granularitySpec"].update(queryGranularity="hour"), ["queryGranularity", "none"]),
        (lambda task: schema(task)["granularitySpec"].update(intervals=[]), ["intervals must name what is replaced"]),
        (lambda task: schema(task)["granularitySpec"].update(intervals=["2019-01-01/P1M"]), ["P1M", "start/end"]),
        (lambda task: schema(task)["granularitySpec"].update(intervals=["2020-01-01/2019-01-01"]), ["start/end"]),
        (lambda task: task["spec"]["ioConfig"].update(appendToExisting=True), ["appendToExisting", "twice"]),
        (lambda task: task["spec"]["ioConfig"].pop("dropExisting"), ["dropExisting must be true"]),
        (lambda task: task["spec"]["ioConfig"].pop("inputSource"), ["inputSource is missing", "--data FILE"]),
        (lambda task: schema(task).update(dataSource="orders"), ["'orders'", "chat_sessions", "--data-source"]),
        (lambda task: task.update(type="kafka"), ["'kafka'", "index_parallel"]),
    ],
)
def test_each_fault_is_one_problem_that_names_it(change: Callable[[Task], object], words: list[str]) -> None:
    [problem] = problems(change)
    for word in words:
        assert word in problem


def test_all_problems_are_reported_at_once() -> None:
    def change(task: Task) -> None:
        column(task, "sales").update(type="long")
        metric(task, "visitor_ids_unique").update(type="count")
        schema(task)["granularitySpec"].update(rollup=True)

    assert len(problems(change)) == 3


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"type": "index_parallel"}', '{"type": "index_parallel", "spec": 5}', "{", "[" * 100_000],
)
def test_text_that_is_not_a_spec_is_rejected(text: str) -> None:
    with pytest.raises(InvalidSpec):
        parse("spec.json", text, DATASETS)


def test_a_dimension_may_be_given_as_a_name_only() -> None:
    task = json.loads(SHIPPED)
    dimensions = schema(task)["dimensionsSpec"]["dimensions"]
    dimensions[:] = [d["name"] if d == {"name": d["name"], "type": "string"} else d for d in dimensions]
    assert "scope" in dimensions
    parse("spec.json", json.dumps(task), DATASETS)


def test_a_spec_for_files_needs_no_input_source() -> None:
    task = json.loads(SHIPPED)
    del task["spec"]["ioConfig"]["inputSource"]
    parse("spec.json", json.dumps(task), DATASETS, brings_files=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda task: task["spec"]["ioConfig"]["inputFormat"].update(type="csv"), ["inputFormat.type is 'csv'"]),
        (lambda task: task["spec"]["ioConfig"]["inputFormat"].update(flattenSpec={"fields": [{}]}), ["flattenSpec"]),
        (lambda task: schema(task).update(transformSpec={"filter": {}}), ["transformSpec must be left out"]),
        (lambda task: schema(task)["timestampSpec"].update(format="yyyy"), ["'yyyy'", "iso, auto, millis"]),
    ],
)
def test_files_need_a_format_in_which_druid_reads_what_was_checked(
    change: Callable[[Task], object], words: list[str]
) -> None:
    task = json.loads(SHIPPED)
    change(task)
    parse("spec.json", json.dumps(task), DATASETS)
    with pytest.raises(InvalidSpec) as caught:
        parse("spec.json", json.dumps(task), DATASETS, brings_files=True)
    [problem] = caught.value.problems
    assert all(word in problem for word in words), problem


def test_a_key_that_is_there_twice_is_rejected() -> None:
    with pytest.raises(InvalidSpec, match="the key 'type' twice"):
        parse("spec.json", '{"type": "index_parallel", "type": "index_parallel"}', DATASETS)


def test_a_syntax_error_is_reported_with_line_and_column() -> None:
    with pytest.raises(InvalidSpec, match="line 2, column 3: not JSON: expecting property name"):
        parse("spec.json", '{"type": "index_parallel",\n  }', DATASETS)


def shipped() -> BatchSpec:
    return parse("chat_sessions.json", SHIPPED, DATASETS)


def test_a_submission_is_the_spec_with_id_data_source_and_files_replaced() -> None:
    task = json.loads(shipped().submission("an-id", "copy", ["http://127.0.0.1:1/a.jsonl"]))
    expected = json.loads(SHIPPED)
    expected["id"] = "an-id"
    expected["spec"]["dataSchema"]["dataSource"] = "copy"
    expected["spec"]["ioConfig"]["inputSource"] = {"type": "http", "uris": ["http://127.0.0.1:1/a.jsonl"]}
    assert task == expected


def test_a_submission_without_files_keeps_the_specs_own_input_source() -> None:
    assert json.loads(shipped().submission("an-id")) == {**json.loads(SHIPPED), "id": "an-id"}


@pytest.mark.parametrize(
    ("partitions", "passes"),
    [
        ({"type": "range"}, 2),
        ({"type": "hashed"}, 2),
        ({"type": "hashed", "numShards": 3}, 1),
        ({"type": "dynamic"}, 1),
        (None, 1),
    ],
)
def test_passes_are_how_often_druid_reads_the_input(partitions: Task | None, passes: int) -> None:
    task = json.loads(SHIPPED)
    task["spec"]["tuningConfig"]["partitionsSpec"] = partitions
    assert parse("spec.json", json.dumps(task), DATASETS).passes == passes
