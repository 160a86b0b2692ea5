"""Ingestion into a real Druid: exact counts, replacement, and failures."""

import asyncio
import gzip
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from typer.testing import CliRunner

from gateway.druid.api.http import ServiceError, ServiceUrl
from gateway.druid.api.overlord import Rejected, UnknownTask
from gateway.druid.tasks import Phase, State
from gateway.ingest.batch.file_server import ServeAddress, serve
from gateway.ingest.batch.row_files import RowFile
from gateway.ingest.batch.rows import RowSchema
from gateway.ingest.batch.run import Progress, ingest, submit
from gateway.ingest.batch.spec import BatchSpec, parse
from gateway.ingest.cli import app
from gateway.ingest.clients import DruidUrls, connect
from gateway.ingest.errors import EmptyInput, InvalidRows, InvalidSpec, WrongRowCount
from tests.datasets import CHAT_SESSIONS, DATASETS

SPECS = Path(__file__).parents[2] / "ingestion-specs"
SHIPPED = SPECS / "chat_sessions.json"
HAND_COUNTED = SPECS / "samples" / "hand_counted.jsonl"
LINES = HAND_COUNTED.read_text().splitlines()
OCTOBER = "2019-10-01/2019-11-01"
EVER = "2018-01-01/2021-01-01"


class Urls(Protocol):
    @property
    def broker_url(self) -> str: ...

    @property
    def coordinator_url(self) -> str: ...


@pytest.fixture
def cluster(druid: Urls) -> DruidUrls:
    return DruidUrls.parse(overlord=druid.coordinator_url, broker=druid.broker_url)


class Table:
    """A data source for one test."""

    def __init__(self, cluster: DruidUrls, session: aiohttp.ClientSession) -> None:
        self.name = f"test_ingest_{secrets.token_hex(4)}"
        self._broker = str(cluster.broker).rstrip("/")
        self._session = session

    async def ask(self, **query: Any) -> Any:
        body = {"dataSource": self.name, "granularity": "all", "intervals": [EVER], **query}
        async with self._session.post(f"{self._broker}/druid/v2", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def count(self, interval: str = EVER) -> int:
        rows = {"type": "longSum", "name": "rows", "fieldName": "count"}
        answer = await self.ask(queryType="timeseries", intervals=[interval], aggregations=[rows])
        return int(answer[0]["result"]["rows"] or 0) if answer else 0


@pytest.fixture
async def table(cluster: DruidUrls) -> AsyncIterator[Table]:
    async with aiohttp.ClientSession() as session:
        table = Table(cluster, session)
        yield table
        url = f"{str(cluster.overlord).rstrip('/')}/druid/coordinator/v1/datasources/{table.name}"
        async with session.delete(url) as response:
            assert response.status in {200, 204}


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


async def test_rows_that_are_not_valid_are_reported_and_the_served_data_stays(
    cluster: DruidUrls, table: Table, tmp_path: Path
) -> None:
    await ingest(shipped(), cluster, files=[HAND_COUNTED], data_source=table.name)
    late = LINES[1].replace('"timestamp":"', '"timestamp":"yesterday ')
    many = LINES[1].replace('"user_message_count":3', '"user_message_count":"many"')
    bad = lines_file(tmp_path / "bad.jsonl", [LINES[0], "not json at all", "", many, late, LINES[0] + LINES[1]])

    with pytest.raises(InvalidRows) as caught:
        await ingest(shipped(), cluster, files=[bad], data_source=table.name)
    where = [error.where.removeprefix(str(bad)).split(":")[1] for error in caught.value.row_errors]
    assert where == ["2", "3", "4", "5", "6"]
    assert await table.count() == 33
    async with connect(cluster) as client:
        assert len([task for task in await client.overlord.tasks(table.name) if task.task_id == task.group_id]) == 1

    summary = await ingest(shipped(), cluster, files=[bad], skip_bad_rows=True, data_source=table.name)
    assert (summary.rows.read, summary.skipped, len(summary.row_errors)) == (1, 5, 5)
    assert await table.count() == 1


async def test_rows_outside_the_intervals_are_left_out_if_bad_rows_are_skipped(
    cluster: DruidUrls, table: Table
) -> None:
    spec = shipped(lambda spec: spec["dataSchema"]["granularitySpec"].update(intervals=[OCTOBER]))
    with pytest.raises(InvalidRows):
        await ingest(spec, cluster, files=[HAND_COUNTED], data_source=table.name)
    summary = await ingest(spec, cluster, files=[HAND_COUNTED], skip_bad_rows=True, data_source=table.name)
    assert (summary.rows.read, summary.rows.thrown_away, summary.skipped) == (6, 0, 27)
    assert await table.count() == 6


async def test_an_input_source_without_rows_inside_the_intervals_is_a_failure(cluster: DruidUrls, table: Table) -> None:
    async with serve([served(HAND_COUNTED)], ServeAddress()) as server:
        source = {"type": "http", "uris": list(server.uris)}

        def change(spec: dict[str, Any]) -> None:
            spec["ioConfig"].update(inputSource=source)
            spec["dataSchema"]["granularitySpec"].update(intervals=["2017-01-01/2017-02-01"])

        with pytest.raises(WrongRowCount, match="expected rows inside the intervals, and Druid reports 0 rows"):
            await ingest(shipped(change), cluster, data_source=table.name)


async def test_another_number_of_rows_than_was_sent_is_a_failure(
    cluster: DruidUrls, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RowSchema, "is_certainly_valid", lambda *_: True)
    spec = shipped(lambda spec: spec["dataSchema"]["granularitySpec"].update(intervals=[OCTOBER]))
    with pytest.raises(WrongRowCount, match=r"expected 33 rows, and Druid reports 6 rows .* 27 outside"):
        await ingest(spec, cluster, files=[HAND_COUNTED], data_source=table.name)


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


async def test_an_empty_input_is_rejected_and_the_served_data_stays(
    cluster: DruidUrls, table: Table, tmp_path: Path
) -> None:
    await ingest(shipped(), cluster, files=[HAND_COUNTED], data_source=table.name)
    with pytest.raises(EmptyInput):
        await ingest(shipped(), cluster, files=[lines_file(tmp_path / "empty.jsonl", [])], data_source=table.name)
    nowhere = {"type": "local", "files": [str(tmp_path / "nowhere.jsonl")]}
    with pytest.raises(EmptyInput):
        await ingest(
            shipped(lambda spec: spec["ioConfig"].update(inputSource=nowhere)), cluster, data_source=table.name
        )
    assert await table.count() == 33


async def test_a_rejected_spec_is_reported_with_druids_message(cluster: DruidUrls, table: Table) -> None:
    spec = shipped(lambda spec: spec["tuningConfig"].update(type="by_moon"))
    with pytest.raises(Rejected, match="by_moon"):
        await ingest(spec, cluster, files=[HAND_COUNTED], data_source=table.name)


async def test_a_cancelled_ingestion_cancels_its_task_and_the_served_data_stays(
    cluster: DruidUrls, table: Table, generator: Any, tmp_path: Path
) -> None:
    await ingest(shipped(), cluster, files=[HAND_COUNTED], data_source=table.name)
    large = tmp_path / "large.jsonl"
    with large.open("w") as out:
        generator.write(generator.sessions(20_000, generator.organizations(5, 1), 1), out)
    reading = asyncio.Event()
    ids = set()

    def watch(progress: Progress) -> None:
        ids.add(progress.task_id)
        if progress.phase is Phase.READING:
            reading.set()

    running = asyncio.create_task(ingest(shipped(), cluster, files=[large], data_source=table.name, on_progress=watch))
    await asyncio.wait_for(reading.wait(), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    [task_id] = ids
    async with connect(cluster) as client:
        assert (await client.overlord.status(task_id)).state is State.FAILED
    assert await table.count() == 33


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


async def test_a_task_that_druid_does_not_know_is_reported(cluster: DruidUrls) -> None:
    async with connect(cluster) as client:
        with pytest.raises(UnknownTask, match="gateway ingest list"):
            await client.overlord.status("nobody-knows")
        with pytest.raises(UnknownTask):
            await client.overlord.cancel("nobody-knows")


async def test_an_unreachable_or_wrong_overlord_is_reported_at_once(cluster: DruidUrls) -> None:
    async with asyncio.timeout(5):
        nowhere = replace(cluster, overlord=ServiceUrl("http://127.0.0.1:1"))
        with pytest.raises(ServiceError, match="connection refused"):
            await ingest(shipped(), nowhere, files=[HAND_COUNTED])
        with pytest.raises(ServiceError, match="responded with status 404"):
            await ingest(shipped(), replace(cluster, overlord=cluster.broker), files=[HAND_COUNTED])


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
    code, output = await gateway_ingest("status", "nobody-knows")
    assert (code, "Druid knows no task nobody-knows" in output) == (1, True)


def test_nothing_is_sent_if_the_spec_is_not_valid(tmp_path: Path) -> None:
    task = json.loads(SHIPPED.read_text())
    task["spec"]["dataSchema"]["granularitySpec"]["rollup"] = True
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(task))
    # There is no overlord, so a request would fail with another message.
    result = CliRunner().invoke(app, [str(wrong), "--data", str(HAND_COUNTED), "--overlord", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "rollup must be false" in result.output
    with pytest.raises(InvalidSpec):
        parse("wrong.json", wrong.read_text(), DATASETS)
