"""A data set that does not match Druid is never answered with a number; each message says what to do."""

import http.client
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from gateway.catalog.load import load_catalog
from gateway.cli import app
from tests.conftest import Druid
from tests.live.catalog.druid_rows import SEVERAL, drop, ingest, segments
from tests.serving import D, Gateway, P, serving_aside, settings_for

VALID: Final = """\
name: {name}
title: Orders
description: One row for each order.
data_source: {data_source}
tenant:
  column: customer
  partner_column: suppliers
dimensions:
  - name: country
    column: ship_country
    description: Where the order went.
  - name: amount
    type: double
    description: The order's value.
    aggregations: [avg, sum]
  - name: pages
    type: long
    description: The number of pages.
    aggregations: [sum]
  - name: item_ids
    multi_valued: true
    description: What was ordered.
    aggregations: [hyperUnique]
    unique_metric: item_ids_unique
"""

ROW: Final = {
    "__time": "2024-01-01T08:00:00Z",
    "customer": D,
    "suppliers": [D, P],
    "ship_country": "NO",
    "amount": 20.0,
    "price": "20.0",
    "pages": 3,
    "item_ids": ["a", "b"],
    "owners": D,
    "maybe": D,
    "number": 7,
}
OTHER: Final = ROW | {"__time": "2024-01-02T08:00:00Z", "owners": [D, P], "maybe": None, "amount": 7.5}
COLUMNS: Final = [
    "customer",
    {"name": "suppliers", **SEVERAL},
    "ship_country",
    {"name": "amount", "type": "double"},
    "price",
    {"name": "pages", "type": "long"},
    {"name": "item_ids", **SEVERAL},
    {"name": "owners", **SEVERAL},
    "maybe",
    {"name": "number", "type": "long"},
]
METRICS: Final = [
    {"type": "hyperUnique", "name": "item_ids_unique", "fieldName": "item_ids"},
    {"type": "hyperUnique", "name": "country_unique", "fieldName": "ship_country"},
    {"type": "thetaSketch", "name": "items_theta", "fieldName": "item_ids"},
]
HOURLY: Final = [
    *METRICS,
    {"type": "count", "name": "orders"},
    {"type": "doubleSum", "name": "amount_sum", "fieldName": "amount"},
]
TIP: Final = """\
  - name: tip
    type: double
    description: The tip.
    aggregations: [sum]
    metrics: {sum: amounts_sum}
rows: {count_metric: orders, granularity: hour}
"""
COUNT: Final = {"interval": {"start": "2024-01-01", "end": "2024-02-01"}, "aggregations": [{"type": "count"}]}

FAULTS: Final[dict[str, tuple[str, str, str, str]]] = {
    # What is wrong: (text of the file, what replaces it, the kind of the fault, a part of the message).
    "a misspelt data source": (
        "data_source: {data_source}",
        "data_source: {data_source}x",
        "data_source_unknown",
        "(did you mean '{data_source}'?). Correct data_source",
    ),
    "a misspelt column": (
        "ship_country",
        "ship_countri",
        "column_missing",
        "dimension 'country': column: the data source has no column 'ship_countri' (did you mean 'ship_country'?)",
    ),
    "a column that does not exist": (
        "column: ship_country",
        "column: region",
        "column_missing",
        "the data source has no column 'region'; it has amount, country_unique, customer,",
    ),
    "a string that is a number": (
        "column: ship_country",
        "column: pages",
        "column_type",
        "the column 'pages' is LONG in Druid, not string: write `type: long`",
    ),
    "a number that is a string": (
        "name: amount",
        "name: price",
        "column_type",
        "the column 'price' is STRING in Druid, not double: write `type: string`",
    ),
    "a long with decimal places": (
        "name: pages",
        "name: pages\n    column: amount",
        "column_type",
        "the column 'amount' is DOUBLE in Druid, not long: write `type: double`",
    ),
    "a sketch as a dimension": (
        "column: ship_country",
        "column: items_theta",
        "column_type",
        "the column 'items_theta' is COMPLEX<thetaSketch> in Druid, not string: it can be a metric",
    ),
    "a single value that is a list": (
        "    multi_valued: true\n",
        "",
        "several_values",
        "rows have several values in the column 'item_ids': add `multi_valued: true`",
    ),
    "a misspelt tenant column": (
        "column: customer",
        "column: custommer",
        "column_missing",
        "tenant: column: the data source has no column 'custommer' (did you mean 'customer'?)",
    ),
    "a tenant column with several values": (
        "column: customer",
        "column: owners",
        "tenant_several_values",
        "tenant: 1 row has several values in the column 'owners', so that several organizations would see it: name",
    ),
    "a tenant column with nulls": (
        "column: customer",
        "column: maybe",
        "tenant_null",
        "tenant: 1 row has no value in the column 'maybe', so that no organization would see it: name the right column",
    ),
    "a tenant column of numbers": (
        "column: customer",
        "column: number",
        "column_type",
        "tenant: the column 'number' is LONG in Druid, not string: correct type (string or long)",
    ),
    "a misspelt partner column": (
        "partner_column: suppliers",
        "partner_column: supplier",
        "column_missing",
        "tenant: partner_column: the data source has no column 'supplier' (did you mean 'suppliers'?)",
    ),
    "a partner column of numbers": (
        "partner_column: suppliers",
        "partner_column: number",
        "column_type",
        "tenant: the partner_column 'number' is LONG in Druid and must be STRING",
    ),
    "a misspelt metric": (
        "item_ids_unique",
        "item_id_unique",
        "metric_missing",
        "unique_metric: the data source has no metric 'item_id_unique' (did you mean 'item_ids_unique'?)",
    ),
    "a metric of another kind": (
        "item_ids_unique",
        "items_theta",
        "metric_type",
        "unique_metric: 'items_theta' is COMPLEX<thetaSketch> (thetaSketch) in Druid; of this type are country_unique,",
    ),
}
OTHER_SOURCES: Final[dict[str, tuple[str, str, str, str]]] = {
    # Faults of other data sources: (the data source, what follows the valid text, the kind of the fault, the message).
    "rollup": ("rolled_up", "", "rollup", "is rolled up, so that a count would be the number of Druid's rows and not"),
    "a misspelt count": (
        "rolled_up",
        "rows: {count_metric: order, granularity: hour}",
        "metric_missing",
        "(did you mean 'orders'?)",
    ),
    "a count of another kind": (
        "rolled_up",
        "rows: {count_metric: amount_sum, granularity: hour}",
        "metric_type",
        "rows: count_metric: 'amount_sum' is DOUBLE (doubleSum) in Druid; of this type are orders",
    ),
    "a misspelt metric of values": (
        "rolled_up",
        TIP,
        "metric_missing",
        "dimension 'tip': metrics.sum: the data source has no metric 'amounts_sum' (did you mean 'amount_sum'?)",
    ),
    "a metric of values of another kind": (
        "rolled_up",
        TIP.replace("sum: amounts_sum", "sum: items_theta"),
        "metric_type",
        "dimension 'tip': metrics.sum: 'items_theta' is COMPLEX<thetaSketch> (thetaSketch) in Druid; of this type are",
    ),
    "times by the hour": (
        "rolled_up",
        "rows: {count_metric: orders}",
        "granularity",
        "rows: ingestion rounded times to hour: set granularity",
    ),
    "a misspelt lookup": (
        "good",
        "  - {name: country_name, lookup: no_such_lookup_of_countries, of: country, description: The name.}",
        "lookup_missing",
        "dimension 'country_name': Druid has no lookup 'no_such_lookup_of_countries'",
    ),
    "another type in some segments": (
        "mixed",
        "",
        "column_type",
        "the column 'amount' is DOUBLE and STRING in Druid, not double alone: ingest",
    ),
    "a segment without owners": (
        "partly_owned",
        "",
        "tenant_null",
        "tenant: 1 row has no value in the column 'customer'",
    ),
}


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
