"""The profile `streaming`: a row sent from this machine passes Kafka and the indexer and answers queries."""

import json
import urllib.request
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # it ships no types

from tests.compose.stack import ROOT, Stack, eventually

FILE = ROOT / "ingestion-specs" / "samples" / "hand_counted.jsonl"
ALL_ROWS = 33
SPEC = "/ingestion-specs/chat_sessions.kafka.json"
# Different from the data source that the other tests query.
STREAMED = "chat_sessions_streamed"


@pytest.fixture(scope="module")
def kafka(stack: Stack) -> str:
    """Kafka's address for programs on this machine."""
    stack.compose("--profile", "streaming", "up", "--wait", "kafka", timeout=900)
    return f"127.0.0.1:{stack.port('KAFKA_PORT')}"


async def test_rows_that_are_sent_from_this_machine_are_streamed_into_druid(stack: Stack, kafka: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for line in _lines(FILE):
            await producer.send_and_wait("chat_sessions", line)
    stack.ingest(SPEC, "--data-source", STREAMED)
    try:
        assert eventually(lambda: _rows(stack) == ALL_ROWS, 120), _rows(stack)
    finally:
        stack.ingest("stream", "terminate", STREAMED)
    # After termination the rows are published and served by the historical.
    assert _rows(stack) == ALL_ROWS


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines()


def _rows(stack: Stack) -> int:
    query = {
        "queryType": "timeseries",
        "dataSource": STREAMED,
        "granularity": "all",
        "intervals": ["2018-01-01/2021-01-01"],
        "aggregations": [{"type": "count", "name": "rows"}],
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.port('DRUID_BROKER_PORT')}/druid/v2",
        json.dumps(query).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return sum(int(bucket["result"]["rows"]) for bucket in json.load(response))
