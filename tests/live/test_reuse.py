"""With a real Druid: stored responses are confirmed while the data is unchanged, and never after it has changed."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import ingest
from gateway.catalog.model import Dataset
from tests.conftest import SPECS, Data, Druid
from tests.datasets import DATASETS
from tests.live.reports import COUNT, SUMS, UNIQUES, report
from tests.serving import Answer, D, Gateway, P, T

CONFIRMED, MISS = "gateway; fwd=stale; fwd-status=304", "gateway; fwd=miss"
REPORTS = (
    report(),
    report(COUNT, SUMS, UNIQUES, granularity="day"),
    report(COUNT, granularity="month", group_by=["user_id", "chat_type"]),
)
SECONDS = 0.05


def told(answer: Answer) -> tuple[str, list[Any]]:
    return answer.headers["cache-status"], answer.data


@pytest.mark.parametrize("body", REPORTS)
def test_an_unchanged_report_is_confirmed_without_being_computed(
    gateway_for: Callable[..., Gateway], hand_counted: Data, body: Any
) -> None:
    gateway = gateway_for(hand_counted, reuse_seconds=SECONDS)
    first = gateway.post(body)
    time.sleep(2 * SECONDS)
    second = gateway.post(body)
    assert (first.headers["cache-status"], second.headers["cache-status"]) == (MISS, CONFIRMED)
    assert first.body == second.body


def test_a_report_is_computed_again_when_its_data_was_replaced(
    gateway_for: Callable[..., Gateway], ingested: Callable[..., Dataset], druid: Druid, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"

    def write(rows: int) -> None:
        row = {"owner_organization_id": D, "scope": "org"}
        file.write_text(
            "".join(json.dumps(row | {"timestamp": f"2019-01-01T12:00:{n:02}Z"}) + "\n" for n in range(rows))
        )

    write(3)
    dataset = ingested("reuse", file)
    gateway = gateway_for(Data(dataset, file, (D, P, T)), reuse_seconds=SECONDS, coverage_period=0.5)
    body = {"interval": {"start": "2019-01-01", "end": "2019-01-02"}, "aggregations": [{"type": "count"}]}
    assert gateway.post(body).data[0][-1] == 3
    write(5)
    spec = ingest.parse("chat_sessions.json", (SPECS / "chat_sessions.json").read_text(), DATASETS, brings_files=True)
    urls = ingest.DruidUrls.parse(overlord=druid.coordinator_url, broker=druid.broker_url)
    asyncio.run(ingest.ingest(spec, urls, files=[file], data_source=dataset.data_source))
    # `ingest` returns when the broker serves the new rows: from now on the old number is wrong.
    time.sleep(2 * SECONDS)
    assert told(gateway.post(body)) == (MISS, [["2019-01-01T00:00:00.000+00:00", 5]])
    time.sleep(2 * SECONDS)
    assert told(gateway.post(body)) == (CONFIRMED, [["2019-01-01T00:00:00.000+00:00", 5]])
