"""Streams from a real Kafka into a real Druid: each row is available soon and counts once, whatever is killed."""

import asyncio
import json
import time

import pytest

from gateway.druid.api.overlord import Unavailable, UnknownSupervisor
from gateway.ingest.clients import connect
from gateway.ingest.errors import FailedStream
from gateway.ingest.stream import lifecycle
from gateway.ingest.stream.status import Condition
from tests.streaming.victim import HAND_COUNTED, PATIENCE, Table, Victim, numbered

pytestmark = pytest.mark.cluster

# On an idle machine it takes a tenth of a second.
SECONDS = 10


async def test_queries_read_rows_within_seconds(table: Table) -> None:
    await table.stream()
    for number in range(5):
        began = time.monotonic()
        await table.send(numbered(number, number + 1))
        await table.holds(number + 1)
        assert time.monotonic() - began < SECONDS


async def test_the_hand_counted_rows_are_stored_as_by_a_batch(table: Table) -> None:
    await table.send(HAND_COUNTED)
    await table.stream()
    await table.holds(33)
    twice = {"type": "selector", "dimension": "visitor_ids", "value": "v8"}
    rows = {"type": "longSum", "name": "rows", "fieldName": "count"}
    answer = await table.ask(queryType="groupBy", dimensions=["visitor_ids"], filter=twice, aggregations=[rows])
    # In s11, which contains it twice, it counts once.
    assert [(row["event"]["visitor_ids"], row["event"]["rows"]) for row in answer] == [("v8", 2)]


async def test_no_row_is_lost_or_duplicated_when_the_indexer_is_killed(victim: Victim, table: Table) -> None:
    await table.stream()
    # Longer than a task lasts: one is killed while it reads, the next one publishes while rows arrive.
    sending = asyncio.create_task(send_slowly(table, 3000, seconds=90))
    await asyncio.sleep(10)
    await asyncio.to_thread(victim.kill_indexer)
    while not sending.done():
        count = await table.count()
        assert count is None or count <= len(table.sent) + 1
        await asyncio.sleep(0.5)
    await sending
    await victim.is_well()
    await table.holds(3000)
    assert await table.rows_by_session() == table.sessions_sent()
    async with connect(victim.urls) as client:
        assert any(task.error for task in await client.overlord.supervisor_tasks(table.name))

    await lifecycle.suspend(victim.urls, table.name, wait_seconds=PATIENCE)
    assert await table.rows_by_session() == table.sessions_sent()


async def test_no_row_is_lost_or_duplicated_when_the_indexer_is_killed_while_it_publishes(
    victim: Victim, table: Table
) -> None:
    await table.stream()
    await table.send(numbered(0, 1000))
    await table.holds(1000)
    suspending = asyncio.create_task(lifecycle.suspend(victim.urls, table.name, wait_seconds=PATIENCE))
    await table.until(lambda status: status.supervisor.publishing)
    await asyncio.to_thread(victim.kill_indexer)
    await suspending
    await victim.is_well()
    await table.send(numbered(1000, 1100))
    await lifecycle.resume(victim.urls, table.name)
    await table.holds(1100)
    assert await table.rows_by_session() == table.sessions_sent()


async def test_a_suspended_stream_reads_nothing_keeps_its_rows_and_continues_when_resumed(
    victim: Victim, table: Table
) -> None:
    await table.send(numbered(0, 100))
    await table.stream()
    await table.holds(100)
    await lifecycle.suspend(victim.urls, table.name, wait_seconds=PATIENCE)
    assert (await table.status()).condition is Condition.SUSPENDED
    assert await table.count() == 100

    await table.send(numbered(100, 200))
    await asyncio.sleep(5)
    assert await table.count() == 100
    # Suspending a suspended stream has no effect.
    await lifecycle.suspend(victim.urls, table.name)

    await lifecycle.resume(victim.urls, table.name)
    await table.holds(200)
    assert await table.rows_by_session() == table.sessions_sent()


async def test_a_stream_that_is_being_suspended_and_resumed_is_never_unknown(victim: Victim, table: Table) -> None:
    await table.stream()

    async def change() -> None:
        for action in ("suspend", "resume") * 5:
            async with connect(victim.urls) as client:
                await client.overlord.change_supervisor(table.name, action)

    changing = asyncio.create_task(change())
    unavailable = 0
    async with connect(victim.urls) as client:
        while not changing.done():
            try:
                assert (await client.overlord.supervisor(table.name)).name == table.name
            except Unavailable:
                unavailable += 1
    await changing
    assert unavailable


async def test_a_terminated_stream_started_again_continues_where_it_ended(victim: Victim, table: Table) -> None:
    await table.send(numbered(0, 100))
    await table.stream()
    await table.holds(100)
    await lifecycle.terminate(victim.urls, table.name, wait_seconds=PATIENCE)
    assert await table.count() == 100
    with pytest.raises(UnknownSupervisor, match="stream list"):
        await table.status()
    await table.send(numbered(100, 150))
    await table.stream()
    await table.holds(150)
    assert await table.rows_by_session() == table.sessions_sent()


async def test_a_row_that_druid_cannot_read_is_left_out_counted_and_shown(table: Table) -> None:
    await table.stream()
    await table.send(["not json at all", *numbered(0, 10)])
    await table.holds(10)
    status = await table.until(lambda status: status.row_errors)
    assert (status.throughput.rows.read, status.throughput.rows.unparseable) == (10, 1)
    assert "not json at all" in status.row_errors[0].line


async def test_a_stream_whose_tasks_all_fail_is_failing_whatever_druid_reports(table: Table) -> None:
    await table.send(["not json at all"])
    with pytest.raises(FailedStream, match="of its tasks failed in a row") as caught:
        await table.stream(lambda spec: spec["tuningConfig"].update(maxParseExceptions=0))
    assert f"gateway ingest stream watch {table.name}" in str(caught.value)


async def test_a_stream_is_failing_if_its_tasks_fail_though_druid_reports_it_as_healthy(table: Table) -> None:
    supervisor = json.loads(table.spec().submission(table.name, table.victim.kafka.bootstrap_servers))
    # The check of specs rejects this. Druid accepts it and kills every task.
    supervisor["spec"]["ioConfig"]["taskDuration"] = "PT30S"
    await table.send(numbered(0, 3))
    async with connect(table.victim.urls) as client:
        await client.overlord.start_supervisor(json.dumps(supervisor).encode())
    status = await table.until(lambda status: status.condition is Condition.FAILING)
    assert status.supervisor.detail == "RUNNING"
    assert status.supervisor.is_healthy
    assert len(status.failed) >= 2
    assert "Failed with exception" in status.reason


async def send_slowly(table: Table, rows: int, seconds: float) -> None:
    began = time.monotonic()
    for number in range(rows):
        await table.send(numbered(number, number + 1))
        ahead = number / rows * seconds - (time.monotonic() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)
