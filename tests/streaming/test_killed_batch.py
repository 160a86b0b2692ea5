"""A batch ingestion whose indexer is killed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.ingest import FailedTask, Phase, Progress, ingest, parse
from tests.datasets import DATASETS
from tests.streaming.victim import SPECS, Table, Victim

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("phase", [Phase.PARTITIONING, Phase.READING])
async def test_a_batch_whose_indexer_is_killed_changes_nothing_and_can_be_repeated(
    phase: Phase, victim: Victim, table: Table, generator: Any, tmp_path: Path
) -> None:
    spec = parse("chat_sessions.json", (SPECS / "chat_sessions.json").read_text(), DATASETS, brings_files=True)
    hand_counted = SPECS / "samples" / "hand_counted.jsonl"
    await ingest(spec, victim.urls, files=[hand_counted], data_source=table.name)
    before = await table.rows_by_session()

    large = tmp_path / "large.jsonl"
    with large.open("w", encoding="utf-8") as out:
        generator.write(generator.sessions(20_000, generator.organizations(6, 1), 1), out)
    reached = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.phase is phase:
            reached.set()

    ingesting = asyncio.create_task(ingest(spec, victim.urls, files=[large], data_source=table.name, on_progress=watch))
    await reached.wait()
    await asyncio.to_thread(victim.kill_indexer)
    with pytest.raises(FailedTask, match="no served data changed"):
        await ingesting
    assert await table.rows_by_session() == before

    await victim.is_well()
    assert await table.rows_by_session() == before
    summary = await ingest(spec, victim.urls, files=[large], data_source=table.name)
    lines = len(large.read_text(encoding="utf-8").splitlines())
    assert await table.count() == summary.rows.read == lines
