"""Ingestion into a real Druid fails without losing rows or changing the served data."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.druid.api.http import ServiceError
from gateway.druid.api.overlord import Rejected, UnknownTask
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.tasks import Phase, State
from gateway.ingest.batch.file_server import ServeAddress, serve
from gateway.ingest.batch.rows import RowSchema
from gateway.ingest.batch.run import Progress, ingest
from gateway.ingest.batch.spec import parse
from gateway.ingest.cli import app
from gateway.ingest.clients import DruidUrls, connect
from gateway.ingest.errors import EmptyInput, InvalidRows, InvalidSpec, WrongRowCount
from tests.datasets import DATASETS
from tests.live.ingestion import HAND_COUNTED, LINES, OCTOBER, SHIPPED, Table, lines_file, served, shipped


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


async def test_a_task_that_druid_does_not_know_is_reported(cluster: DruidUrls) -> None:
    async with connect(cluster) as client:
        with pytest.raises(UnknownTask, match="gateway ingest list"):
            await client.overlord.status("unknown-id")
        with pytest.raises(UnknownTask):
            await client.overlord.cancel("unknown-id")


async def test_an_unreachable_or_wrong_overlord_is_reported_at_once(cluster: DruidUrls) -> None:
    async with asyncio.timeout(5):
        nowhere = replace(cluster, overlord=ServiceUrl("http://127.0.0.1:1"))
        with pytest.raises(ServiceError, match="connection refused"):
            await ingest(shipped(), nowhere, files=[HAND_COUNTED])
        with pytest.raises(ServiceError, match="responded with status 404"):
            await ingest(shipped(), replace(cluster, overlord=cluster.broker), files=[HAND_COUNTED])


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
