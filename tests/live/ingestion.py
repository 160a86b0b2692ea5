"""What the tests of ingestion share: specs, files, and a data source for each test."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from gateway.ingest.batch.row_files import RowFile
from gateway.ingest.batch.spec import BatchSpec, parse
from gateway.ingest.clients import DruidUrls
from tests.datasets import DATASETS

SPECS = Path(__file__).parents[2] / "ingestion-specs"
SHIPPED = SPECS / "chat_sessions.json"
HAND_COUNTED = SPECS / "samples" / "hand_counted.jsonl"
LINES = HAND_COUNTED.read_text().splitlines()
OCTOBER = "2019-10-01/2019-11-01"
EVER = "2018-01-01/2021-01-01"


class Table:
    """A data source for one test."""

    def __init__(self, cluster: DruidUrls, session: aiohttp.ClientSession) -> None:
        self.name = f"test_ingest_{secrets.token_hex(4)}"
        self._broker = cluster.broker
        self._session = session

    async def ask(self, **query: Any) -> Any:
        body = {"dataSource": self.name, "granularity": "all", "intervals": [EVER], **query}
        async with self._session.post(self._broker / "druid/v2", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def count(self, interval: str = EVER) -> int:
        rows = {"type": "longSum", "name": "rows", "fieldName": "count"}
        answer = await self.ask(queryType="timeseries", intervals=[interval], aggregations=[rows])
        return int(answer[0]["result"]["rows"] or 0) if answer else 0


def shipped(change: Callable[[dict[str, Any]], object] = lambda _: None) -> BatchSpec:
    task = json.loads(SHIPPED.read_text())
    change(task["spec"])
    return parse("chat_sessions.json", json.dumps(task), DATASETS, brings_files=True)


def served(path: Path) -> RowFile:
    status = path.stat()
    return RowFile(path, "", status.st_size, status.st_mtime_ns)


def lines_file(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path
