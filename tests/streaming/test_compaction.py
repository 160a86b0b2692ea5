"""Compaction turns the segments of a stream into those of a batch, and changes no number."""

import asyncio
import json
from typing import Any

import pytest

from gateway.ingest.clients import connect
from gateway.ingest.stream import lifecycle
from tests.streaming.victim import EVER, PATIENCE, Table, Victim, numbered

pytestmark = pytest.mark.cluster


async def numbers(table: Table) -> Any:
    """Return the numbers that reports consist of, by tenant and day."""
    answer = await table.ask(
        queryType="groupBy",
        granularity="day",
        dimensions=["owner_organization_id", "scope"],
        aggregations=[
            {"type": "longSum", "name": "rows", "fieldName": "count"},
            {"type": "longSum", "name": "messages", "fieldName": "user_message_count"},
            {"type": "doubleSum", "name": "sales", "fieldName": "sales"},
            {"type": "hyperUnique", "name": "sessions", "fieldName": "chat_session_id_unique"},
            {"type": "hyperUnique", "name": "visitors", "fieldName": "visitor_ids_unique"},
        ],
    )
    # Sums of floats in another order differ in their last digits.
    return [{**row["event"], "day": row["timestamp"], "sales": round(row["event"]["sales"] or 0, 6)} for row in answer]


async def shards(table: Table) -> list[dict[str, Any]]:
    """Return the shard specs of current segments. Druid lists replaced segments for another quarter of an hour."""
    url = table.victim.urls.overlord / f"druid/coordinator/v1/metadata/datasources/{table.name}/segments"
    async with table.session.post(url, params={"full": ""}, json=[EVER]) as response:
        stored = await response.json() if response.status == 200 else []
    newest: dict[str, str] = {}
    for segment in stored:
        newest[segment["interval"]] = max(segment["version"], newest.get(segment["interval"], ""))
    return [segment["shardSpec"] for segment in stored if segment["version"] == newest[segment["interval"]]]


async def compact(table: Table) -> None:
    """Start what the coordinator does every half hour. It compacts one time chunk, as it has one task slot for it."""
    async with connect(table.victim.urls) as client:
        if any(task.type == "compact" for task in await client.overlord.tasks(table.name, running=True)):
            return
    url = table.victim.urls.overlord / "druid/coordinator/v1/compaction/compact"
    async with table.session.post(url, json={}) as response:
        assert response.status == 200


async def test_compaction_beside_a_stream_partitions_by_tenant_and_keeps_all_numbers(
    victim: Victim, table: Table
) -> None:
    await table.stream()
    for start in (0, 300, 600):
        await table.send(numbered(start, start + 300))
        await table.holds(start + 300)
        await lifecycle.suspend(victim.urls, table.name, wait_seconds=PATIENCE)
        await lifecycle.resume(victim.urls, table.name)
    before = await numbers(table)
    # Each run of tasks left one segment for each of the four months.
    assert len(await shards(table)) == 12
    assert {shard["type"] for shard in await shards(table)} == {"numbered"}

    async with asyncio.timeout(PATIENCE):
        # Druid's name for a range of a single dimension.
        while {shard["type"] for shard in await shards(table)} != {"single"}:
            await compact(table)
            assert await numbers(table) == before
            await asyncio.sleep(2)
    after = await shards(table)
    assert {shard["dimension"] for shard in after} == {"owner_organization_id"}
    assert len(after) == 4
    assert await numbers(table) == before
    # The stream continues, and adds its rows to the compacted ones.
    await table.send(numbered(900, 1000))
    await table.holds(1000)
    assert await table.rows_by_session() == table.sessions_sent()


async def test_existing_compaction_settings_are_kept(victim: Victim, table: Table) -> None:
    own = json.loads(table.spec().compaction(table.name))
    own["skipOffsetFromLatest"] = "P7D"
    async with connect(victim.urls) as client:
        await client.compaction.configure(json.dumps(own).encode())
    await table.stream()
    url = victim.urls.overlord / f"druid/coordinator/v1/config/compaction/{table.name}"
    async with table.session.get(url) as response:
        assert (await response.json())["skipOffsetFromLatest"] == "P7D"
