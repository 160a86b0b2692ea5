"""Ingestion into a real Druid: exact counts, replacement, and every way in which it can fail."""

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

from gateway.ingest.batch.files import ServeAddress, serve
from gateway.ingest.batch.ingestion import Progress, ingest, submit
from gateway.ingest.batch.reports import Phase, State
from gateway.ingest.batch.spec import BatchSpec, parse
from gateway.ingest.cli import app
from gateway.ingest.druid_client import Cluster, connect
from gateway.ingest.errors import EmptyInput, FailedTask, InvalidSpec, LostTask, RejectedSpec, Unreachable
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
def cluster(druid: Urls) -> Cluster:
    return Cluster(overlord=druid.coordinator_url, broker=druid.broker_url)


class Table:
    """A data source of a test's own."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession) -> None:
        self.name = f"test_ingest_{secrets.token_hex(4)}"
        self._broker = cluster.broker
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
async def table(cluster: Cluster) -> AsyncIterator[Table]:
    async with aiohttp.ClientSession() as session:
        table = Table(cluster, session)
        yield table
        url = f"{cluster.overlord}/druid/coordinator/v1/datasources/{table.name}"
        async with session.delete(url) as response:
            assert response.status in {200, 204}


def shipped(change: Callable[[dict[str, Any]], object] = lambda _: None) -> BatchSpec:
    task = json.loads(SHIPPED.read_text())
    change(task["spec"])
    return parse("chat_sessions.json", json.dumps(task), DATASETS, brings_files=True)


def lines_file(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


async def test_the_hand_counted_rows_are_there_to_the_last_one(cluster: Cluster, table: Table) -> None:
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
    assert seen[0].phase is Phase.WAITING
    assert seen[-1].phase is Phase.LOADING
    assert seen[-1].segments == seen[-1].segments_total == 4


async def test_columns_have_the_catalogs_types(cluster: Cluster, table: Table) -> None:
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


async def test_an_id_that_a_row_has_twice_counts_once(cluster: Cluster, table: Table) -> None:
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


async def test_ingesting_again_replaces_at_once_and_never_twice(cluster: Cluster, table: Table, tmp_path: Path) -> None:
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


async def test_compressed_files_and_several_at_once(cluster: Cluster, table: Table, tmp_path: Path) -> None:
    packed = tmp_path / "first.jsonl.gz"
    packed.write_bytes(gzip.compress("\n".join(LINES[:20]).encode()))
    rest = lines_file(tmp_path / "rest.jsonl", LINES[20:])
    seen: list[Progress] = []
    summary = await ingest(shipped(), cluster, files=[packed, rest], data_source=table.name, on_progress=seen.append)
    assert summary.rows.read == await table.count() == 33
    [total] = {p.bytes_total for p in seen if p.bytes_total}
    assert total == 2 * (packed.stat().st_size + rest.stat().st_size)


async def test_rows_that_druid_cannot_read_are_named_and_nothing_that_is_served_changes(
    cluster: Cluster, table: Table, tmp_path: Path
) -> None:
    await ingest(shipped(), cluster, files=[HAND_COUNTED], data_source=table.name)
    late = LINES[1].replace('"timestamp":"', '"timestamp":"yesterday ')
    many = LINES[1].replace('"user_message_count":3', '"user_message_count":"many"')
    bad = lines_file(tmp_path / "bad.jsonl", [LINES[0], "not json at all", "", many, late])

    with pytest.raises(FailedTask) as caught:
        await ingest(shipped(), cluster, files=[bad], data_source=table.name)

    errors = caught.value.row_errors
    assert [error.where for error in errors] == [f"{bad}:2", f"{bad}:4", f"{bad}:5"]
    assert [error.line for error in errors] == ["not json at all", many, late]
    assert "Unable to parse row" in errors[0].message
    assert "Could not convert value [many] to long for dimension [user_message_count]" in errors[1].message
    assert "is unparseable" in errors[2].message
    assert "nothing that is served changed" in str(caught.value)
    assert await table.count() == 33


async def test_a_spec_that_lets_bad_rows_pass_has_them_counted_and_named(
    cluster: Cluster, table: Table, tmp_path: Path
) -> None:
    many = LINES[1].replace('"user_message_count":3', '"user_message_count":"many"')
    bad = lines_file(tmp_path / "bad.jsonl", [LINES[0], "not json at all", many])
    spec = shipped(lambda spec: spec["tuningConfig"].update(maxParseExceptions=10))
    summary = await ingest(spec, cluster, files=[bad], data_source=table.name)
    assert (summary.rows.read, summary.rows.with_error, summary.rows.unparseable) == (2, 1, 1)
    assert any("not json at all" in error.line for error in summary.row_errors)
    assert any("user_message_count" in error.message for error in summary.row_errors)
    assert await table.count() == 2


async def test_rows_outside_the_intervals_are_counted_as_thrown_away(cluster: Cluster, table: Table) -> None:
    spec = shipped(lambda spec: spec["dataSchema"]["granularitySpec"].update(intervals=[OCTOBER]))
    summary = await ingest(spec, cluster, files=[HAND_COUNTED], data_source=table.name)
    assert (summary.rows.read, summary.rows.thrown_away) == (6, 27)
    assert await table.count() == 6


async def test_nothing_to_ingest_is_refused_before_it_replaces_what_is_there(
    cluster: Cluster, table: Table, tmp_path: Path
) -> None:
    await ingest(shipped(), cluster, files=[HAND_COUNTED], data_source=table.name)
    with pytest.raises(EmptyInput):
        await ingest(shipped(), cluster, files=[lines_file(tmp_path / "empty.jsonl", [""])], data_source=table.name)
    nowhere = {"type": "local", "files": [str(tmp_path / "nowhere.jsonl")]}
    with pytest.raises(EmptyInput):
        await ingest(
            shipped(lambda spec: spec["ioConfig"].update(inputSource=nowhere)), cluster, data_source=table.name
        )
    assert await table.count() == 33


async def test_a_spec_that_druid_refuses_is_told_in_its_words(cluster: Cluster, table: Table) -> None:
    spec = shipped(lambda spec: spec["ioConfig"]["inputFormat"].update(type="by_moon"))
    with pytest.raises(RejectedSpec, match="by_moon"):
        await ingest(spec, cluster, files=[HAND_COUNTED], data_source=table.name)


async def test_a_cancelled_ingestion_cancels_its_task_and_changes_nothing(
    cluster: Cluster, table: Table, generator: Any, tmp_path: Path
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
        assert (await client.status(task_id)).state is State.FAILED
    assert await table.count() == 33


async def test_a_task_can_be_left_to_itself(cluster: Cluster, table: Table) -> None:
    async with serve([HAND_COUNTED], ServeAddress()) as served:
        source = {"type": "http", "uris": list(served.uris)}
        spec = shipped(lambda spec: spec["ioConfig"].update(inputSource=source))
        task_id = await submit(spec, cluster, data_source=table.name)
        async with connect(cluster) as client, asyncio.timeout(120):
            while (status := await client.status(task_id)).state is State.RUNNING:  # noqa: ASYNC110 Druid tells nobody
                await asyncio.sleep(0.2)
            assert status.state is State.SUCCESS
            assert task_id in {task.task_id for task in await client.tasks(table.name)}


async def test_sending_a_submission_twice_starts_one_task(cluster: Cluster, table: Table) -> None:
    async with serve([HAND_COUNTED], ServeAddress()) as served, connect(cluster) as client, asyncio.timeout(120):
        task_id = f"{table.name}_twice"
        submission = shipped().submission(task_id, table.name, served.uris)
        await client.submit(task_id, submission)
        await client.submit(task_id, submission)
        while (await client.status(task_id)).state is State.RUNNING:  # noqa: ASYNC110 Druid tells nobody
            await asyncio.sleep(0.2)
        own = [task for task in await client.tasks(table.name) if task.group_id == task.task_id]
        assert [task.task_id for task in own] == [task_id]


async def test_a_task_that_druid_does_not_know_is_lost(cluster: Cluster) -> None:
    async with connect(cluster) as client:
        with pytest.raises(LostTask, match="gateway ingest list"):
            await client.status("nobody-knows")
        with pytest.raises(LostTask):
            await client.cancel("nobody-knows")


async def test_an_overlord_that_is_not_there_or_is_none_is_told_at_once(cluster: Cluster) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(Unreachable, match="Is Druid running there"):
            await ingest(shipped(), replace(cluster, overlord="http://127.0.0.1:1"), files=[HAND_COUNTED])
        with pytest.raises(Unreachable, match="does not answer like a Druid overlord"):
            await ingest(shipped(), replace(cluster, overlord=cluster.broker), files=[HAND_COUNTED])


async def test_the_command_line_ingests_and_then_tells_of_it(cluster: Cluster, table: Table) -> None:
    async def gateway_ingest(*arguments: str) -> tuple[int, str]:
        # In a thread: the command runs an event loop of its own.
        result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--overlord", cluster.overlord])
        return result.exit_code, result.output

    code, output = await gateway_ingest(
        str(SHIPPED), "--data", str(HAND_COUNTED), "--data-source", table.name, "--broker", cluster.broker
    )
    assert code == 0, output
    assert "rows read" in output
    assert " 33 " in output
    task_id = output.partition("Task ")[2].split()[0]

    code, output = await gateway_ingest("status", task_id)
    assert (code, "success" in output) == (0, True)
    code, output = await gateway_ingest("list", "--data-source", table.name)
    assert (code, task_id in output) == (0, True)
    code, output = await gateway_ingest("cancel", task_id)
    assert (code, "has ended already" in output) == (1, True)
    code, output = await gateway_ingest("status", "nobody-knows")
    assert (code, "Druid knows no task nobody-knows" in output) == (1, True)


def test_the_command_line_sends_nothing_when_the_spec_is_wrong(tmp_path: Path) -> None:
    task = json.loads(SHIPPED.read_text())
    task["spec"]["dataSchema"]["granularitySpec"]["rollup"] = True
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(task))
    # There is no overlord: whoever asked it would say so.
    result = CliRunner().invoke(app, [str(wrong), "--data", str(HAND_COUNTED), "--overlord", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "rollup must be false" in result.output
    with pytest.raises(InvalidSpec):
        parse("wrong.json", wrong.read_text(), DATASETS)
