"""Ingestion into a real Druid: exact counts, replacement, tasks."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.druid.tasks import Phase, State
from gateway.ingest.batch.file_server import ServeAddress, serve
from gateway.ingest.batch.run import Progress, ingest, submit
from gateway.ingest.cli import app
from gateway.ingest.clients import DruidUrls, connect
from tests.datasets import CHAT_SESSIONS
from tests.live.ingestion import HAND_COUNTED, LINES, OCTOBER, SHIPPED, SPECS, Table, lines_file, served, shipped


async def test_all_hand_counted_rows_are_stored(cluster: DruidUrls, table: Table) -> None:
    seen: list[Progress] = []
    summary = await ingest(shipped(), cluster, files=[HAND_COUNTED], data_source=table.name, on_progress=seen.append)

    assert (summary.rows.read, summary.rows.thrown_away, summary.rows.unparseable) == (33, 0, 0)
    # December, January, March and October.
    assert summary.segments == 4
    assert summary.bytes > 10_000
    assert summary.data_source == table.name
    assert await table.count() == 33

    phases = list(Phase)
    assert [p.phase for p in seen] == sorted((p.phase for p in seen), key=phases.index)
    assert seen[0].phase is Phase.CHECKING
    assert Phase.WAITING in {p.phase for p in seen}
    assert seen[-1].phase is Phase.LOADING
    assert seen[-1].segments == seen[-1].segments_total == 4


async def test_columns_have_the_catalogs_types(cluster: DruidUrls, table: Table) -> None:
    await ingest(shipped(), cluster, files=[HAND_COUNTED], data_source=table.name)
    [merged] = await table.ask(queryType="segmentMetadata", merge=True, analysisTypes=["aggregators"])
    columns = merged["columns"]
    for dimension in CHAT_SESSIONS.dimensions:
        assert columns[dimension.name]["type"] == dimension.kind.value
        if dimension.unique_metric is not None:
            assert columns[dimension.unique_metric]["type"] == "hyperUnique"
    for dimension in CHAT_SESSIONS.dimensions:
        assert not columns[dimension.name]["hasMultipleValues"] or dimension.multi_valued, dimension.name
    assert columns["involved_organization_ids"]["hasMultipleValues"]


async def test_an_id_that_a_row_contains_twice_counts_once(cluster: DruidUrls, table: Table) -> None:
    await ingest(shipped(), cluster, files=[HAND_COUNTED], data_source=table.name)
    answer = await table.ask(
        queryType="groupBy",
        dimensions=["visitor_ids"],
        filter={"type": "selector", "dimension": "visitor_ids", "value": "v8"},
        aggregations=[
            {"type": "count", "name": "rows"},
            {"type": "hyperUnique", "name": "sessions", "fieldName": "visitor_session_ids_unique"},
        ],
    )
    # s10 once, s11, which has it twice, once.
    assert [(row["event"]["visitor_ids"], row["event"]["rows"]) for row in answer] == [("v8", 2)]
    assert answer[0]["event"]["sessions"] == pytest.approx(2, rel=0.02)


async def test_a_second_run_replaces_each_time_chunk_in_one_step(
    cluster: DruidUrls, table: Table, tmp_path: Path
) -> None:
    await ingest(shipped(), cluster, files=[HAND_COUNTED], data_source=table.name)
    assert await table.count(OCTOBER) == 6

    fewer = lines_file(tmp_path / "fewer.jsonl", [line for line in LINES if '"s1' in line and '"s12"' not in line])
    second = asyncio.create_task(ingest(shipped(), cluster, files=[fewer], data_source=table.name))
    seen = set()
    while not second.done():
        seen.add(await table.count(OCTOBER))
        await asyncio.sleep(0.05)
    await second

    assert await table.count(OCTOBER) == 5
    assert 6 in seen
    assert seen <= {6, 5}
    # December has no rows in the second run: none of the first are left.
    assert await table.count("2018-12-01/2019-01-01") == 0


async def test_several_files_and_compressed_files(cluster: DruidUrls, table: Table, tmp_path: Path) -> None:
    packed = tmp_path / "first.jsonl.gz"
    packed.write_bytes(gzip.compress("\n".join(LINES[:20]).encode()))
    rest = lines_file(tmp_path / "rest.jsonl", LINES[20:])
    seen: list[Progress] = []
    summary = await ingest(shipped(), cluster, files=[packed, rest], data_source=table.name, on_progress=seen.append)
    assert summary.rows.read == await table.count() == 33
    [total] = {p.bytes_total for p in seen if p.bytes_total and p.phase is not Phase.CHECKING}
    assert total == 2 * (packed.stat().st_size + rest.stat().st_size)


async def test_the_filter_of_stream_specs_leaves_out_rows_without_exactly_one_owner(cluster: DruidUrls) -> None:
    spec = json.loads((SPECS / "chat_sessions.kafka.json").read_text())["spec"]
    owner = "11111111-2222-4333-8444-555555555555"
    owners = [
        owner,
        [owner],
        [owner, owner.replace("1", "2")],
        [owner, None],
        [],
        None,
        "",
        "x" + owner,
        "AAAAAAAA-2222-4333-8444-555555555555",
    ]
    rows = [
        json.dumps({"timestamp": "2019-01-01", "owner_organization_id": owner, "chat_session_id": str(number)})
        for number, owner in enumerate(owners)
    ]
    io_config = {"type": "index", "inputSource": {"type": "inline", "data": "\n".join(rows)}}
    io_config["inputFormat"] = {"type": "json"}
    sampled = {"type": "index", "dataSchema": spec["dataSchema"], "ioConfig": io_config}
    async with connect(cluster) as druid:
        kept = await druid.overlord.sample(
            json.dumps({"type": "index", "spec": sampled, "samplerConfig": {"numRows": 50}}).encode()
        )
    assert [row["parsed"]["chat_session_id"] for row in kept if "parsed" in row] == ["0", "1"]


async def test_a_task_can_run_without_the_command(cluster: DruidUrls, table: Table) -> None:
    async with serve([served(HAND_COUNTED)], ServeAddress()) as server:
        source = {"type": "http", "uris": list(server.uris)}
        spec = shipped(lambda spec: spec["ioConfig"].update(inputSource=source))
        task_id = await submit(spec, cluster, data_source=table.name)
        async with connect(cluster) as client, asyncio.timeout(120):
            while (status := await client.overlord.status(task_id)).state is State.RUNNING:  # noqa: ASYNC110 - Druid sends no events
                await asyncio.sleep(0.2)
            assert status.state is State.SUCCESS
            assert task_id in {task.task_id for task in await client.overlord.tasks(table.name)}


async def test_a_repeated_submission_starts_one_task(cluster: DruidUrls, table: Table) -> None:
    async with (
        serve([served(HAND_COUNTED)], ServeAddress()) as server,
        connect(cluster) as client,
        asyncio.timeout(120),
    ):
        task_id = f"{table.name}_twice"
        submission = shipped().submission(task_id, table.name, server.uris)
        await client.overlord.submit(task_id, submission)
        await client.overlord.submit(task_id, submission)
        while (await client.overlord.status(task_id)).state is State.RUNNING:  # noqa: ASYNC110 - Druid sends no events
            await asyncio.sleep(0.2)
        own = [task for task in await client.overlord.tasks(table.name) if task.group_id == task.task_id]
        assert [task.task_id for task in own] == [task_id]


async def test_the_commands_ingest_and_show_the_task(cluster: DruidUrls, table: Table) -> None:
    async def gateway_ingest(*arguments: str) -> tuple[int, str]:
        # In a thread, because the command runs an event loop of its own.
        result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--overlord", str(cluster.overlord)])
        return result.exit_code, result.output

    code, output = await gateway_ingest(
        str(SHIPPED), "--data", str(HAND_COUNTED), "--data-source", table.name, "--broker", str(cluster.broker)
    )
    assert code == 0, output
    assert "now has these rows" in output
    assert " 33 " in output
    task_id = output.partition("Task ")[2].split()[0]

    code, output = await gateway_ingest("status", task_id)
    assert (code, "success" in output) == (0, True)
    code, output = await gateway_ingest("list", "--data-source", table.name)
    assert (code, task_id in output) == (0, True)
    code, output = await gateway_ingest("cancel", task_id)
    assert (code, "has already ended" in output) == (1, True)
    code, output = await gateway_ingest("status", "unknown-id")
    assert (code, "Druid knows no task unknown-id" in output) == (1, True)
