"""With a real Druid: the pages of a report are one result of DuckDB, in flat memory, and end when the data changes.

PAGING_ROWS says how many rows the report has (60,000), in twelve pages and a last one.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import duckdb
import pytest

from gateway import ingest
from gateway.catalog.model import Dataset
from tests.conftest import SPECS, Data, Druid
from tests.datasets import DATASETS
from tests.serving import Answer, D, Gateway, P, T

ROWS: Final = int(os.environ.get("PAGING_ROWS", "60000"))
PAGES: Final = 12
TYPES: Final = ("operator", "visitor", None)
YEAR: Final = {"start": "2019-01-01", "end": "2020-01-01"}
BIGGEST_GROWTH: Final = 100_000_000
"""Bytes by which the process may grow after the third page. A million rows of Python take ten times as many."""
BY_SESSION: Final[dict[str, Any]] = {
    "interval": YEAR,
    "granularity": "month",
    "group_by": ["chat_type", "chat_session_id"],
    "aggregations": [
        {"type": "count"},
        {"type": "sum", "fields": ["sales"]},
        {"type": "max", "fields": ["order_count"]},
    ],
    "filters": {"type": "selector", "dimension": "scope", "value": "org"},
}


def write(file: Path, rows: int) -> None:
    random, start = Random(1), datetime(2019, 1, 1, tzinfo=UTC).timestamp()
    with file.open("w", encoding="utf-8") as out:
        for number in range(rows):
            row = {
                "timestamp": datetime.fromtimestamp(start + random.randrange(365 * 86_400), UTC).isoformat(),
                "owner_organization_id": D,
                "scope": "org",
                "chat_session_id": f"{number:x}",
                "chat_type": random.choice(TYPES),
                "sales": random.randrange(100_000) / 100,
                "order_count": random.randrange(4),
            }
            out.write(json.dumps(row) + "\n")


@pytest.fixture(scope="module")
def sessions(ingested: Callable[..., Dataset], tmp_path_factory: pytest.TempPathFactory) -> Data:
    file = tmp_path_factory.mktemp("paging") / "rows.jsonl"
    write(file, ROWS)
    return Data(ingested("paging", file), file, (D, P, T))


@pytest.fixture(scope="module")
def gateway(gateway_for: Callable[..., Gateway], sessions: Data) -> Gateway:
    # Little memory, so that the stored responses soon fill their share.
    return gateway_for(sessions, max_rows=1_000_000, max_answer_bytes=16 << 20, answer_memory=256 << 20)


def next_path(page: Answer) -> str | None:
    link = page.headers.get("link")
    return None if link is None else link.removeprefix("<").removesuffix('>; rel="next"')


def pages(gateway: Gateway, report: dict[str, Any]) -> Iterator[list[list[Any]]]:
    page = gateway.post(report)
    yield page.data
    while (path := next_path(page)) is not None:
        page = gateway.get(path)
        yield page.data


def resident() -> int:
    """The bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def month(start_time: str) -> int:
    return int(start_time[5:7])


@pytest.mark.parametrize(
    ("order_by", "order"),
    [
        ([], "month, chat_type NULLS FIRST, chat_session_id"),
        (
            [{"column": "order_count_max", "direction": "descending"}, {"column": "count"}],
            "order_count DESC, month, chat_type NULLS FIRST, chat_session_id",
        ),
    ],
)
def test_all_pages_together_are_one_result(
    gateway: Gateway, sessions: Data, order_by: list[dict[str, str]], order: str
) -> None:
    expected = duckdb.execute(
        "SELECT month(timestamp::TIMESTAMP) AS month, chat_type, chat_session_id, sales, order_count "
        f"FROM read_json(?, format = 'newline_delimited', columns = {{timestamp: 'VARCHAR', chat_type: 'VARCHAR', "
        f"chat_session_id: 'VARCHAR', sales: 'DOUBLE', order_count: 'INTEGER'}}) ORDER BY {order}",
        [str(sessions.file)],
    )
    sizes, memory = [], []
    for rows in pages(gateway, BY_SESSION | {"order_by": order_by, "limit": ROWS // PAGES, "offset": 0}):
        wanted = [
            [m, kind, session, 1, sales, orders] for m, kind, session, sales, orders in expected.fetchmany(len(rows))
        ]
        assert [[month(row[0]), *row[1:]] for row in rows] == wanted
        sizes.append(len(rows))
        memory.append(resident())
    assert expected.fetchone() is None
    assert sizes == [*[ROWS // PAGES] * PAGES, ROWS % PAGES]
    assert max(memory) - memory[2] < BIGGEST_GROWTH, memory


def test_pages_end_when_their_data_was_replaced(
    gateway_for: Callable[..., Gateway], ingested: Callable[..., Dataset], druid: Druid, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    write(file, 30)
    dataset = ingested("paging_replaced", file)
    gateway = gateway_for(Data(dataset, file, (D, P, T)), coverage_period=0.5)
    first = gateway.post(BY_SESSION | {"limit": 10, "offset": 0})
    path = next_path(first)
    assert path is not None
    second = gateway.get(path)
    assert len(second.data) == 10
    write(file, 29)
    spec = ingest.parse("chat_sessions.json", (SPECS / "chat_sessions.json").read_text(), DATASETS, brings_files=True)
    urls = ingest.DruidUrls.parse(overlord=druid.coordinator_url, broker=druid.broker_url)
    asyncio.run(ingest.ingest(spec, urls, files=[file], data_source=dataset.data_source))
    # `ingest` returns when the broker serves the new rows. Until responses expire, memory has those of the first state.
    time.sleep(2 * gateway.settings.reuse_seconds)
    for page in (first, second):
        following = next_path(page)
        assert following is not None
        changed = gateway.get(following)
        assert (changed.status, changed.json["code"]) == (409, "data_changed")
    assert sum(map(len, pages(gateway, BY_SESSION | {"limit": 10, "offset": 0}))) == 29
