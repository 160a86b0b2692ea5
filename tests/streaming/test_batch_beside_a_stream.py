"""A batch ingestion into months that a stream is writing to."""

import asyncio

import pytest

from gateway.ingest import ingest, parse
from gateway.ingest.stream import lifecycle
from tests.datasets import DATASETS
from tests.streaming.victim import PATIENCE, SPECS, Table, Victim, numbered

pytestmark = pytest.mark.cluster

BATCH = SPECS / "chat_sessions.json"
HAND_COUNTED = SPECS / "samples" / "hand_counted.jsonl"


async def test_a_batch_replaces_published_rows_and_keeps_those_that_a_stream_publishes_later(
    victim: Victim, table: Table
) -> None:
    await table.send(numbered(0, 50))
    await table.stream()
    await table.holds(50)
    await lifecycle.suspend(victim.urls, table.name, wait_seconds=PATIENCE)
    await lifecycle.resume(victim.urls, table.name)
    await table.send(numbered(50, 150))
    await table.holds(150)

    spec = parse(BATCH.name, BATCH.read_text(), DATASETS, brings_files=True)
    async with asyncio.timeout(PATIENCE):
        await ingest(spec, victim.urls, files=[HAND_COUNTED], data_source=table.name)
    await table.holds(133)
    await lifecycle.suspend(victim.urls, table.name, wait_seconds=PATIENCE)
    assert await table.count() == 133
    by_session = await table.rows_by_session()
    assert all(by_session[f"n{number}"] == 1 for number in range(50, 150))
    assert not any(by_session[f"n{number}"] for number in range(50))
