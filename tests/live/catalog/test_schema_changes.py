"""A column that changes while the gateway runs: every response is the right number or an error."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from gateway.catalog.load import load_catalog
from tests.conftest import Druid
from tests.live.catalog.druid_rows import drop, ingest
from tests.serving import Answer, D, Gateway, serving_aside, settings_for

FILE: Final = """\
name: orders
title: Orders
description: One row for each order.
data_source: {data_source}
tenant: {{column: customer}}
dimensions:
  - {{name: amount, type: double, description: The value., aggregations: [sum]}}
  - {{name: country, description: The country.}}
"""
ROW: Final = {"__time": "2024-01-01T08:00:00Z", "customer": D, "amount": 1.5, "country": "NO"}
ROWS: Final = [ROW, ROW | {"__time": "2024-01-02T08:00:00Z"}]
IN_FEBRUARY: Final = ROW | {"__time": "2024-02-01T08:00:00Z"}
FEBRUARY: Final = "2024-02-01/2024-03-01"
COLUMNS: Final = ["customer", {"name": "amount", "type": "double"}, "country"]
SUM: Final = {
    "interval": {"start": "2024-01-01", "end": "2024-02-01"},
    "aggregations": [{"type": "sum", "fields": ["amount"]}],
    "filters": {"type": "selector", "dimension": "country", "value": "NO"},
}


@pytest.fixture
def data_source(druid: Druid) -> Iterator[str]:
    name = f"test_changes_{secrets.token_hex(4)}"
    ingest(druid, name, ROWS, COLUMNS)
    yield name
    drop(druid, name)


@pytest.fixture
def gateway(druid: Druid, data_source: str, tmp_path: Path) -> Iterator[Gateway]:
    file = tmp_path / "orders.yaml"
    file.write_text(FILE.format(data_source=data_source))
    settings = settings_for(tmp_path, druid.broker_url, druid_coordinator_url=druid.coordinator_url, schema_period=1)
    with serving_aside(settings, organizations=[D], datasets=load_catalog([file]).values()) as gateway:
        yield gateway


def until(gateway: Gateway, status: int) -> float:
    """Ask until the status is this one; return the seconds that it took."""
    began = time.monotonic()
    while gateway.post(SUM, dataset="orders").status != status:
        assert time.monotonic() - began < 60
        time.sleep(0.1)
    return time.monotonic() - began


def test_a_column_that_changes_its_type_gives_no_number(druid: Druid, data_source: str, gateway: Gateway) -> None:
    answers: list[Answer] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers.append(gateway.post(SUM, dataset="orders"))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        until(gateway, 200)
        strings = ["customer", "amount", "country"]
        ingest(druid, data_source, ROWS, strings)
        assert until(gateway, 503) < 60
        assert gateway.post(SUM, dataset="orders").json["code"] == "data_set_unavailable"
        ingest(druid, data_source, ROWS, COLUMNS)
        until(gateway, 200)
    finally:
        ended.set()
        asking.join()
    assert {answer.status for answer in answers} == {200, 503}
    # Druid reads the numbers in the strings, so that responses before the change was noticed are right, too.
    assert {answer.data[0][1] for answer in answers if answer.status == 200} == {3.0}


Change = Callable[[Druid, str], None]
CHANGES: Final[dict[str, Change]] = {
    "a column that is gone": lambda druid, name: ingest(
        druid, name, ROWS, ["customer", {"name": "amount", "type": "double"}]
    ),
    "rollup": lambda druid, name: ingest(druid, name, ROWS, COLUMNS, rollup=True),
    "rows without an owner": lambda druid, name: ingest(
        druid,
        name,
        [IN_FEBRUARY | {"customer": None}],
        COLUMNS,
        interval=FEBRUARY,
    ),
    "rows with two owners": lambda druid, name: ingest(
        druid,
        name,
        [IN_FEBRUARY | {"customer": [D, "other"]}],
        COLUMNS,
        interval=FEBRUARY,
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_noticed_within_a_minute(druid: Druid, data_source: str, gateway: Gateway, change: Change) -> None:
    until(gateway, 200)
    change(druid, data_source)
    assert until(gateway, 503) < 60
    ingest(druid, data_source, ROWS, COLUMNS)
    ingest(druid, data_source, [IN_FEBRUARY], COLUMNS, interval=FEBRUARY)
    until(gateway, 200)


def test_a_data_source_that_loses_its_rows_is_empty(druid: Druid, data_source: str, gateway: Gateway) -> None:
    until(gateway, 200)
    drop(druid, data_source)
    began = time.monotonic()
    while (answer := gateway.post(SUM, dataset="orders")).status == 503 or answer.data[0][1]:
        assert time.monotonic() - began < 60
        time.sleep(0.2)
    time.sleep(2)
    assert gateway.post(SUM, dataset="orders").data == [["2024-01-01T00:00:00.000+00:00", 0.0]]
