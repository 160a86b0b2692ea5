"""The cluster in which the streaming tests cause faults, and the data sources that they fill."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped] # it has no types

from druid.cluster import Cluster
from druid.kafka.broker import Kafka
from druid.services import Service
from gateway import ingest
from gateway.ingest.batch.run import PATIENTLY
from gateway.ingest.clients import connect
from gateway.ingest.stream import lifecycle
from gateway.ingest.stream import spec as stream_spec
from gateway.ingest.stream.status import StreamStatus
from tests.datasets import DATASETS

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "ingestion-specs"
HAND_COUNTED = (SPECS / "samples" / "hand_counted.jsonl").read_text().splitlines()
EVER = "2018-01-01/2021-01-01"
# On an idle machine, none of this takes more than seconds.
PATIENCE = 240


@dataclass(frozen=True, slots=True)
class Victim:
    """A Druid cluster and a Kafka broker."""

    druid: Cluster
    kafka: Kafka

    @property
    def urls(self) -> ingest.DruidUrls:
        return ingest.DruidUrls.parse(overlord=self.druid.coordinator_url, broker=self.druid.broker_url)

    def kill_indexer(self, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """Kill the indexer with all its tasks; supervisord starts another one."""
        self.kill(Service.INDEXER, with_signal)

    def kill(self, service: Service, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a service; supervisord starts another one."""
        pid = self.druid.pid(service)
        assert pid is not None
        os.kill(pid, with_signal)

    async def is_well(self) -> None:
        """Wait until all services are healthy."""
        await asyncio.to_thread(self.druid.start, timeout=PATIENCE)


@dataclass(slots=True)
class Table:
    """A data source for one test, and the topic of the same name."""

    name: str
    victim: Victim
    session: aiohttp.ClientSession
    producer: AIOKafkaProducer
    sent: list[str] = field(default_factory=list)

    async def ask(self, **query: Any) -> Any:
        """Return None while the query fails: a task with rows has ended, and the next one has not read them yet."""
        body = {"dataSource": self.name, "granularity": "all", "intervals": [EVER], **query}
        async with self.session.post(self.victim.urls.broker / "druid/v2", json=body) as response:
            return await response.json() if response.status == 200 else None

    async def count(self) -> int | None:
        rows = {"type": "longSum", "name": "rows", "fieldName": "count"}
        answer = await self.ask(queryType="timeseries", aggregations=[rows])
        if answer is None:
            return None
        return int(answer[0]["result"]["rows"] or 0) if answer else 0

    async def rows_by_session(self) -> Counter[str]:
        rows = {"type": "longSum", "name": "rows", "fieldName": "count"}
        answer = await self.ask(queryType="groupBy", dimensions=["chat_session_id"], aggregations=[rows])
        return Counter({row["event"]["chat_session_id"]: row["event"]["rows"] for row in answer or ()})

    async def holds(self, expected: int, seconds: float = PATIENCE) -> None:
        """Wait until queries count exactly this many rows; more rows are an error."""
        async with asyncio.timeout(seconds):
            while (count := await self.count()) != expected:
                assert count is None or count < expected, f"{count} rows instead of {expected}"
                await asyncio.sleep(0.05)

    async def send(self, lines: Iterable[str]) -> None:
        for line in lines:
            await self.producer.send_and_wait(self.name, line.encode())
            self.sent.append(line)

    def spec(self, change: Callable[[Any], object] = lambda _: None) -> stream_spec.StreamSpec:
        """Return the shipped spec for this topic, with tasks of the shortest possible duration."""
        supervisor = json.loads((SPECS / "chat_sessions.kafka.json").read_text())
        # The samples are from 2019.
        supervisor["spec"]["ioConfig"].update(
            topic=self.name, taskDuration="PT1M", lateMessageRejectionPeriod="P20000D"
        )
        change(supervisor["spec"])
        return stream_spec.parse("chat_sessions.kafka.json", json.dumps(supervisor), DATASETS)

    async def stream(self, change: Callable[[Any], object] = lambda _: None) -> StreamStatus:
        return await lifecycle.start(
            self.spec(change),
            self.victim.urls,
            data_source=self.name,
            bootstrap_servers=self.victim.kafka.bootstrap_servers,
            wait_seconds=PATIENCE,
        )

    def sessions_sent(self) -> Counter[str]:
        return Counter(json.loads(line)["chat_session_id"] for line in self.sent)

    async def status(self) -> StreamStatus:
        async with connect(self.victim.urls) as client:
            return await PATIENTLY(lifecycle.inspect, client, self.name)

    async def until(self, condition: Callable[[StreamStatus], object], seconds: float = PATIENCE) -> StreamStatus:
        """Wait for a status that satisfies the condition, and return it."""
        async with asyncio.timeout(seconds):
            while True:
                if condition(status := await self.status()):
                    return status
                await asyncio.sleep(0.1)


def numbered(start: int, stop: int) -> Iterator[str]:
    """Yield a row with a unique session for each number, for all tenants and months of the samples."""
    for number in range(start, stop):
        row = json.loads(HAND_COUNTED[number % len(HAND_COUNTED)])
        yield json.dumps({**row, "chat_session_id": f"n{number}"})
