"""`gateway catalog draft`: the file that it writes passes `gateway catalog check` and answers reports."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.catalog.load import load_catalog
from gateway.catalog.model import Dataset
from gateway.cli import app
from tests.conftest import Data, Druid
from tests.live.catalog.druid_rows import drop, ingest
from tests.live.catalog.faulty_files import COLUMNS, COUNT, HOURLY, ROW
from tests.live.test_documented_example import EXAMPLE
from tests.serving import D, P, T, serving_aside, settings_for

Drafted = Callable[..., Dataset]


@pytest.fixture
def drafted(druid: Druid, tmp_path: Path) -> Drafted:
    """Draft a file, check it with Druid, and load it."""

    def make(data_source: str, name: str) -> Dataset:
        file = tmp_path / f"{name}.yaml"
        urls = ("--broker", druid.broker_url, "--coordinator", druid.coordinator_url)
        arguments = ["catalog", "draft", data_source, "--name", name, "--output", str(file), *urls]
        written = CliRunner().invoke(app, arguments)
        assert written.exit_code == 0, written.output
        checked = CliRunner().invoke(app, ["catalog", "check", str(file), *urls])
        assert checked.exit_code == 0, checked.output + file.read_text()
        assert f"{name}: OK" in checked.output
        return load_catalog([file])[name]

    return make


def ask(druid: Druid, folder: Path, dataset: Dataset, body: Any) -> Any:
    settings = settings_for(folder, druid.broker_url, druid_coordinator_url=druid.coordinator_url)
    with serving_aside(settings, organizations=[D, P, T], datasets=[dataset]) as gateway:
        answer = gateway.post(body, dataset=dataset.name)
    assert answer.status == 200, answer.body
    return answer.json


def test_a_draft_of_the_demo_answers_the_documented_example(
    druid: Druid, drafted: Drafted, hand_counted: Data, tmp_path: Path
) -> None:
    dataset = drafted(hand_counted.dataset.data_source, "chat_sessions")
    answer = ask(druid, tmp_path, dataset, EXAMPLE)
    assert answer["fields"][1]["name"] == "visitor_ids_hyper_unique"
    assert answer["data"] == [["2019-01-01T00:00:00.000+02:00", pytest.approx(3, rel=1e-6)]]
    assert dataset.tenant == hand_counted.dataset.tenant
    assert dataset.by_name["scope"].allowed == ("org", "team", "user")
    assert dataset.by_name["visitor_ids"].unique_metric == "visitor_ids_unique"


def test_a_draft_of_a_rolled_up_data_source_counts_original_rows(
    druid: Druid, drafted: Drafted, tmp_path: Path
) -> None:
    name = f"test_draft_{secrets.token_hex(4)}"
    ingest(
        druid, name, [ROW, ROW], COLUMNS, metrics=[*HOURLY[:-2], {"type": "count", "name": "row_count"}], rollup=True
    )
    try:
        dataset = drafted(name, "orders")
        assert ask(druid, tmp_path, dataset, COUNT)["data"] == [["2024-01-01T00:00:00.000+00:00", 2]]
    finally:
        drop(druid, name)


def test_a_misspelt_data_source_is_named(druid: Druid, hand_counted: Data) -> None:
    name = hand_counted.dataset.data_source
    result = CliRunner().invoke(app, ["catalog", "draft", f"{name}x", "--broker", druid.broker_url])
    assert result.exit_code == 1
    assert f"(did you mean {name!r}?)" in result.output


def test_check_asks_the_coordinator_which_most_comparisons_do_not_need(
    druid: Druid, drafted: Drafted, hand_counted: Data, tmp_path: Path
) -> None:
    drafted(hand_counted.dataset.data_source, "chat_sessions")
    for coordinator, message in (
        ("http://127.0.0.1:1", "http://127.0.0.1:1/ cannot be reached: connection refused"),
        (druid.broker_url, "is not a coordinator: correct GATEWAY_DRUID_COORDINATOR_URL."),
    ):
        urls = ("--broker", druid.broker_url, "--coordinator", coordinator)
        result = CliRunner().invoke(app, ["catalog", "check", str(tmp_path / "chat_sessions.yaml"), *urls])
        assert result.exit_code == 2
        assert message in result.output


def test_exit_code_2_if_druid_cannot_be_reached() -> None:
    result = CliRunner().invoke(app, ["catalog", "draft", "orders", "--broker", "http://127.0.0.1:1"])
    assert result.exit_code == 2
    assert "cannot be reached: connection refused" in result.output
