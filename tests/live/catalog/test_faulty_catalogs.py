"""A data set that does not match Druid is never answered with a number; each message says what to do."""

import http.client
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from gateway.catalog.load import load_catalog
from gateway.cli import app
from tests.conftest import Druid
from tests.live.catalog.druid_rows import drop, ingest, segments
from tests.live.catalog.faulty_files import COLUMNS, COUNT, FAULTS, HOURLY, METRICS, OTHER, OTHER_SOURCES, ROW, VALID
from tests.serving import D, Gateway, P, serving_aside, settings_for


@dataclass(frozen=True, slots=True)
class Sources:
    """The data sources of these tests, each with a unique name. `files` are the data set files by the fault's name."""

    good: str
    others: dict[str, str]
    files: dict[str, Path]


def name_of(fault: str) -> str:
    return fault.replace(" ", "_")


@pytest.fixture(scope="module")
def sources(druid: Druid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    suffix = secrets.token_hex(4)
    names = {each: f"test_catalog_{each}_{suffix}" for each in ("good", "rolled_up", "mixed", "partly_owned", "empty")}
    ingest(druid, names["good"], [ROW, OTHER], COLUMNS, metrics=METRICS)
    ingest(druid, names["rolled_up"], [ROW, ROW], COLUMNS, metrics=HOURLY, rollup=True, granularity="hour")
    ingest(druid, names["mixed"], [ROW], COLUMNS, metrics=METRICS)
    strings = ["amount" if each == {"name": "amount", "type": "double"} else each for each in COLUMNS]
    february = [ROW | {"__time": "2024-02-01T08:00:00Z"}]
    ingest(druid, names["mixed"], february, strings, metrics=METRICS, interval="2024-02-01/2024-03-01")
    ingest(druid, names["partly_owned"], [ROW], COLUMNS, metrics=METRICS)
    without_owner = [each for each in COLUMNS if each != "customer"]
    ingest(druid, names["partly_owned"], february, without_owner, metrics=METRICS, interval="2024-02-01/2024-03-01")
    ingest(druid, names["empty"], [ROW], COLUMNS, metrics=METRICS)
    drop(druid, names["empty"])
    folder = tmp_path_factory.mktemp("catalog")
    texts = {fault: ("good", VALID.replace(old, new)) for fault, (old, new, _, _) in FAULTS.items()}
    for fault, (source, more, _, _) in OTHER_SOURCES.items():
        texts[fault] = source, VALID + more.replace("{", "{{").replace("}", "}}")
    texts |= {name: (name, VALID) for name in ("good", "empty")}
    texts["right"] = "rolled_up", VALID + "rows: {{count_metric: orders, granularity: hour}}"
    files = {}
    for name, (source, text) in texts.items():
        files[name] = folder / f"{name_of(name)}.yaml"
        files[name].write_text(text.format(name=name_of(name), data_source=names[source]))
    while segments(druid, names["empty"]):
        pass
    yield Sources(names["good"], names, files)
    for name in names.values():
        drop(druid, name)


@pytest.fixture(scope="module")
def gateway(druid: Druid, sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway with all the data sets."""
    settings = settings_for(
        tmp_path_factory.mktemp("accounts"), druid.broker_url, druid_coordinator_url=druid.coordinator_url
    )
    datasets = load_catalog(sources.files.values()).values()
    with serving_aside(settings, organizations=[D, P], datasets=datasets) as gateway:
        yield gateway


def check(druid: Druid, *files: Path) -> tuple[int, dict[str, Any]]:
    arguments = ["catalog", "check", "--json", "--broker", druid.broker_url, "--coordinator", druid.coordinator_url]
    result = CliRunner().invoke(app, [*arguments, *map(str, files)])
    return result.exit_code, json.loads(result.output)


def expected(fault: str, sources: Sources) -> tuple[str, str]:
    _, _, kind, message = (FAULTS | OTHER_SOURCES)[fault]
    return kind, message.format(data_source=sources.good)


@pytest.mark.parametrize("fault", [*FAULTS, *OTHER_SOURCES])
def test_check_says_what_to_do(druid: Druid, sources: Sources, fault: str) -> None:
    kind, message = expected(fault, sources)
    code, output = check(druid, sources.files[fault])
    assert code == 1
    (found,) = output["data_sets"][0]["faults"]
    assert found["kind"] == kind
    assert message in found["message"]


@pytest.mark.parametrize("fault", [*FAULTS, *OTHER_SOURCES])
def test_the_gateway_gives_no_number(gateway: Gateway, sources: Sources, fault: str) -> None:
    for body in (COUNT, COUNT | {"aggregations": [{"type": "sum", "fields": ["pages"]}]}):
        answer = gateway.post(body, dataset=name_of(fault))
        if answer.status == 400:
            continue
        assert (answer.status, answer.json["code"]) == (503, "data_set_unavailable")
        assert answer.headers["retry-after"] == "60"
        text = answer.body.decode()
        assert not any(column in text for column in ("customer", "ship_country", "amount", sources.good, "DOUBLE"))
    get = _get(gateway, gateway.path(D, name_of(fault)), gateway.tokens[D])
    assert get["code"] == "data_set_unavailable"


def test_readyz_says_which_data_sets_are_not_served_and_why(gateway: Gateway, sources: Sources) -> None:
    ready = _get(gateway, "/readyz")
    assert ready["status"] == "ready"
    assert ready["checks"]["data_sets"] is True
    assert ready["unavailable_data_sets"] == {
        name_of(fault): [expected(fault, sources)[0]] for fault in [*FAULTS, *OTHER_SOURCES]
    }


def test_other_data_sets_are_answered(gateway: Gateway) -> None:
    assert gateway.post(COUNT, dataset="good").data == [["2024-01-01T00:00:00.000+00:00", 2]]


def test_original_rows_of_a_rolled_up_data_source_are_counted(gateway: Gateway) -> None:
    assert gateway.post(COUNT, dataset="right").data == [["2024-01-01T00:00:00.000+00:00", 2]]


def test_an_empty_data_source_is_no_fault(druid: Druid, sources: Sources, gateway: Gateway) -> None:
    code, output = check(druid, sources.files["empty"])
    assert (code, output["data_sets"][0]["faults"]) == (0, [])
    assert [each["kind"] for each in output["data_sets"][0]["notes"]] == ["data_source_empty"]
    assert gateway.post(COUNT, dataset="empty").data == [["2024-01-01T00:00:00.000+00:00", 0]]


def test_a_column_without_lists_yet_is_a_note(druid: Druid, sources: Sources, tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    text = VALID.replace("column: ship_country", "column: ship_country\n    multi_valued: true")
    file.write_text(text.format(name="orders", data_source=sources.good))
    code, output = check(druid, file)
    assert (code, output["data_sets"][0]["faults"]) == (0, [])
    assert [each["kind"] for each in output["data_sets"][0]["notes"]] == ["single_value"]


def test_all_faults_of_all_files_are_reported_at_once(druid: Druid, sources: Sources, tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    text = VALID.replace("ship_country", "region").replace("column: customer", "column: client")
    file.write_text(text.format(name="orders", data_source=sources.good))
    code, output = check(druid, file, sources.files["rollup"], sources.files["good"])
    assert code == 1
    assert [len(each["faults"]) for each in output["data_sets"]] == [2, 1, 0]


def test_invalid_yaml_and_a_name_in_two_files_are_not_compared(druid: Druid, sources: Sources, tmp_path: Path) -> None:
    broken, again = tmp_path / "broken.yaml", tmp_path / "again.yaml"
    broken.write_text("name: [orders")
    again.write_text(VALID.format(name="good", data_source=sources.good))
    code, output = check(druid, broken, sources.files["good"], again)
    assert (code, output["data_sets"]) == (1, [])
    assert [(Path(each["file"]).name, each["line"]) for each in output["problems"]] == [
        ("broken.yaml", 1),
        ("again.yaml", 1),
    ]
    assert "is not valid YAML" in output["problems"][0]["message"]
    assert "has the name 'good', too" in output["problems"][1]["message"]


def test_without_a_coordinator_an_unknown_data_source_is_a_fault(druid: Druid, sources: Sources) -> None:
    result = CliRunner().invoke(app, ["catalog", "check", "--broker", druid.broker_url, str(sources.files["empty"])])
    assert result.exit_code == 1
    assert "GATEWAY_DRUID_COORDINATOR_URL: the Coordinator knows empty data sources, too" in result.output


def test_exit_code_2_if_druid_cannot_be_reached(sources: Sources) -> None:
    result = CliRunner().invoke(app, ["catalog", "check", "--broker", "http://127.0.0.1:1", str(sources.files["good"])])
    assert result.exit_code == 2
    assert "not compared with Druid: the broker http://127.0.0.1:1/ cannot be reached" in result.output


def _get(gateway: Gateway, path: str, token: str = "") -> Any:
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
    try:
        connection.request("GET", path, headers={"Authorization": f"Token {token}"} if token else {})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
