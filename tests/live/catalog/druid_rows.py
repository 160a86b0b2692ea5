"""Rows for a data source of a test, ingested by a native task: also what `gateway ingest` refuses."""

import json
import time
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError

from tests.conftest import Druid

Row = Mapping[str, Any]
JANUARY = "2024-01-01/2024-02-01"
SEVERAL = {"type": "string", "multiValueHandling": "SORTED_SET"}


def call(method: str, url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        text = response.read()
    return json.loads(text) if text else None


def ingest(
    druid: Druid,
    data_source: str,
    rows: Iterable[Row],
    columns: list[Any],
    *,
    metrics: Iterable[Row] = (),
    rollup: bool = False,
    granularity: str = "none",
    interval: str = JANUARY,
) -> None:
    """Replace the interval by these rows, and return once the broker knows the new segments."""
    before = segments(druid, data_source)
    task = {
        "type": "index_parallel",
        "spec": {
            "dataSchema": {
                "dataSource": data_source,
                "timestampSpec": {"column": "__time", "format": "iso"},
                "dimensionsSpec": {"dimensions": columns},
                "metricsSpec": list(metrics),
                "granularitySpec": {
                    "segmentGranularity": "month",
                    "queryGranularity": granularity,
                    "rollup": rollup,
                    "intervals": [interval],
                },
            },
            "ioConfig": {
                "type": "index_parallel",
                "inputSource": {"type": "inline", "data": "\n".join(map(json.dumps, rows))},
                "inputFormat": {"type": "json"},
                "dropExisting": True,
            },
            "tuningConfig": {"type": "index_parallel"},
        },
    }
    task_id = call("POST", f"{druid.coordinator_url}/druid/indexer/v1/task", task)["task"]
    status = {"status": "RUNNING"}
    until = time.monotonic() + 300
    while status["status"] == "RUNNING":
        assert time.monotonic() < until
        time.sleep(0.3)
        status = call("GET", f"{druid.coordinator_url}/druid/indexer/v1/task/{task_id}/status")["status"]
    assert status["status"] == "SUCCESS", status
    while segments(druid, data_source) == before:
        assert time.monotonic() < until
        time.sleep(0.1)


def segments(druid: Druid, data_source: str) -> list[Any]:
    path = f"druid/v2/datasources/{data_source}/candidates"
    served = call("GET", f"{druid.broker_url}/{path}?intervals=2000-01-01/2040-01-01&numCandidates=-1")
    return sorted((each["interval"], each["version"], each["partitionNumber"]) for each in served)


def drop(druid: Druid, data_source: str) -> None:
    """Mark all segments unused."""
    with suppress(HTTPError):
        call("DELETE", f"{druid.coordinator_url}/druid/coordinator/v1/datasources/{data_source}")
