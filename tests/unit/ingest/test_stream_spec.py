"""A supervisor spec is compared with the catalog before Druid sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.ingest.errors import InvalidSpec
from gateway.ingest.stream.spec import is_stream, parse
from tests.datasets import DATASETS

SPECS = Path(__file__).parents[3] / "ingestion-specs"
SHIPPED = (SPECS / "chat_sessions.kafka.json").read_text()
BATCH = (SPECS / "chat_sessions.json").read_text()

Json = dict[str, Any]


def problems(change: Callable[[Json], object]) -> tuple[str, ...]:
    supervisor = json.loads(SHIPPED)
    change(supervisor)
    with pytest.raises(InvalidSpec) as caught:
        parse("spec.json", json.dumps(supervisor), DATASETS)
    return caught.value.problems


def io_config(supervisor: Json) -> Json:
    part: Json = supervisor["spec"]["ioConfig"]
    return part


def test_the_type_distinguishes_streams_from_batches() -> None:
    assert is_stream(SHIPPED)
    assert not is_stream(BATCH)
    assert not is_stream("no JSON")
    assert not is_stream("[]")
    assert not is_stream("[" * 100_000)


def test_the_shipped_spec_fills_the_catalogs_data_set() -> None:
    spec = parse("chat_sessions.kafka.json", SHIPPED, DATASETS)
    assert (spec.data_source, spec.topic, spec.bootstrap_servers) == (
        "chat_sessions",
        "chat_sessions",
        "127.0.0.1:9092",
    )


def test_stream_and_batch_specs_have_the_same_schema() -> None:
    stream, batch = (json.loads(text)["spec"]["dataSchema"] for text in (SHIPPED, BATCH))
    # A stream has no intervals. Its rows are not checked before Druid sees them.
    del batch["granularitySpec"]["intervals"]
    del stream["transformSpec"]
    assert stream == batch


def test_data_source_and_kafka_address_can_be_replaced() -> None:
    spec = parse("chat_sessions.kafka.json", SHIPPED, DATASETS)
    sent = json.loads(spec.submission("copy", "kafka:9092"))["spec"]
    assert sent["dataSchema"]["dataSource"] == "copy"
    assert sent["ioConfig"]["consumerProperties"]["bootstrap.servers"] == "kafka:9092"
    assert json.loads(spec.submission()) == json.loads(SHIPPED)
    assert json.loads(spec.compaction("copy"))["dataSource"] == "copy"


def test_compaction_partitions_as_the_batch_spec_does() -> None:
    batch = json.loads(BATCH)["spec"]
    compaction = json.loads(parse("chat_sessions.kafka.json", SHIPPED, DATASETS).compaction())
    assert compaction["tuningConfig"]["partitionsSpec"] == batch["tuningConfig"]["partitionsSpec"]
    for key in ("segmentGranularity", "queryGranularity", "rollup"):
        assert compaction["granularitySpec"][key] == batch["dataSchema"]["granularitySpec"][key]


@pytest.mark.parametrize("duration", ["PT30S", "PT59.9S", "PT0M", "ten minutes", "PT", 60])
def test_a_task_duration_with_which_druid_kills_every_task_is_rejected(duration: object) -> None:
    [problem] = problems(lambda supervisor: io_config(supervisor).update(taskDuration=duration))
    assert "taskDuration" in problem
    assert "whole minutes" in problem


@pytest.mark.parametrize("duration", ["PT1M", "PT60S", "PT1H30M", "P1D"])
def test_a_task_duration_of_a_minute_or_more_is_accepted(duration: str) -> None:
    supervisor = json.loads(SHIPPED)
    io_config(supervisor)["taskDuration"] = duration
    parse("spec.json", json.dumps(supervisor), DATASETS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("context"), ["useConcurrentLocks must be true"]),
        (lambda s: io_config(s).pop("topic"), ["ioConfig.topic"]),
        (lambda s: io_config(s).pop("consumerProperties"), ["'bootstrap.servers'", "kafka:9092"]),
        (
            lambda s: io_config(s)["consumerProperties"].update({"isolation.level": "read_uncommitted"}),
            ["isolation.level must be 'read_committed'"],
        ),
        (lambda s: io_config(s).pop("inputFormat"), ["inputFormat is missing"]),
        (lambda s: s["spec"]["tuningConfig"].update(resetOffsetAutomatically=True), ["resetOffsetAutomatically"]),
        (lambda s: s["spec"]["dataSchema"]["granularitySpec"].update(rollup=True), ["rollup must be false"]),
        (lambda s: s["spec"]["dataSchema"]["granularitySpec"].pop("segmentGranularity"), ["segmentGranularity"]),
        (lambda s: s["spec"]["dataSchema"]["metricsSpec"].pop(), ["lacks visitor_session_ids_unique"]),
        (lambda s: s["spec"]["dataSchema"]["dimensionsSpec"]["dimensions"].pop(0), ["lacks owner_organization_id"]),
        (lambda s: s["spec"]["dataSchema"].pop("transformSpec"), ["exactly one owner", "array_length"]),
        (lambda s: s["spec"]["dataSchema"]["transformSpec"]["filter"]["fields"].pop(), ["exactly one owner"]),
        (lambda s: s["spec"]["dataSchema"]["transformSpec"]["filter"].update(type="or"), ["exactly one owner"]),
        (
            lambda s: s["spec"]["dataSchema"].update(dataSource="chat_session"),
            ["'chat_session'", "not in the gateway's catalog"],
        ),
    ],
)
def test_a_spec_that_would_lose_or_duplicate_rows_is_rejected(
    change: Callable[[Json], object], words: list[str]
) -> None:
    [problem] = problems(change)
    assert all(word in problem for word in words), problem


@pytest.mark.parametrize("key", ["earlyMessageRejectionPeriod", "lateMessageRejectionPeriod"])
@pytest.mark.parametrize("period", [None, "", "PT0S", "P24856D", "P1Y", "P1M", "forever", 86400])
def test_a_spec_must_bound_the_time_of_rows(key: str, period: object) -> None:
    [problem] = problems(lambda supervisor: io_config(supervisor).update({key: period}))
    assert f"ioConfig.{key} is {period!r}" in problem


def test_the_longest_period_is_the_longest_that_druid_can_store_and_read_again() -> None:
    supervisor = json.loads(SHIPPED)
    io_config(supervisor)["lateMessageRejectionPeriod"] = "P24855D"
    parse("spec.json", json.dumps(supervisor), DATASETS)


def test_the_shipped_spec_bounds_the_time_of_rows() -> None:
    shipped = io_config(json.loads(SHIPPED))
    assert (shipped["earlyMessageRejectionPeriod"], shipped["lateMessageRejectionPeriod"]) == ("P1D", "P3650D")


def test_all_problems_are_reported_at_once() -> None:
    def change(supervisor: Json) -> None:
        supervisor.pop("context")
        del supervisor["spec"]["ioConfig"]

    assert len(problems(change)) == 6
