"""A gateway in front of a stream: rows that it has answered with are in every later answer, or there is none."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from druid.services import Service
from gateway.ingest.clients import connect
from gateway.ingest.stream import lifecycle
from tests.datasets import CHAT_SESSIONS
from tests.http.asking import Client
from tests.serving import D, serving, settings_for
from tests.streaming.test_compaction import compact, shards
from tests.streaming.victim import PATIENCE, Table, Victim, numbered

pytestmark = pytest.mark.cluster

ALL = {"start": "2018-12-01", "end": "2019-11-01"}
ONE_MONTH = {"start": "2019-03-01", "end": "2019-04-01"}
READERS = 3


@dataclass(slots=True)
class Watched:
    """A table behind a gateway that is asked all the time, by several at once, while rows come in.

    `wrong` are answers with fewer rows than an earlier one had, or with more than were ever sent.
    """

    table: Table
    client: Client
    outcomes: Counter[str] = field(default_factory=Counter)
    unasked: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    async def read(self) -> None:
        while True:
            for interval in (ALL, ONE_MONTH):
                await self.ask(interval)

    async def ask(self, interval: dict[str, str]) -> int | None:
        key = interval["start"]
        before = self.seen[key]
        answer = await self.client.post({"interval": interval, "aggregations": [{"type": "count"}]})
        self.outcomes["200" if answer.status == 200 else answer.json["code"]] += 1
        if answer.status != 200:
            return None
        [[_, count]] = answer.data
        if not before <= count <= len(self.table.sent) + 1:
            self.wrong.append(f"{count} rows since {key}, after {before}, of {len(self.table.sent)} sent")
        self.seen[key] = max(self.seen[key], count)
        return int(count)

    async def ask_druid(self) -> None:
        """Druid's own answers: how often they were fewer than it had said before."""
        most = 0
        while True:
            count = await self.table.count()
            self.unasked["500" if count is None else "fewer" if count < most else "200"] += 1
            most = max(most, count or 0)
            await asyncio.sleep(0.05)

    async def write(self) -> None:
        number = len(self.table.sent)
        while True:
            await self.table.send(numbered(number, number + 1))
            number += 1
            await asyncio.sleep(0.03)

    async def has_all(self) -> None:
        """Wait until an answer has as many rows of the organization as there were sent by now."""
        own = sum(json.loads(line)["owner_organization_id"] == D for line in self.table.sent)
        async with asyncio.timeout(PATIENCE):
            while (await self.ask(ALL) or 0) < own:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.1)


@asynccontextmanager
async def running(*tasks: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    running = [asyncio.ensure_future(task()) for task in tasks]
    try:
        yield
        for each in running:
            assert not each.done(), each
    finally:
        for each in running:
            each.cancel()
        for each in running:
            with suppress(asyncio.CancelledError):
                await each


@pytest.fixture
async def watched(table: Table, tmp_path: Path) -> AsyncIterator[Watched]:
    """With 2,000 rows, of which some are in a task alone."""
    await table.stream(lambda spec: spec["tuningConfig"].update(maxRowsInMemory=500))
    await table.send(numbered(0, 2000))
    await table.holds(2000)
    druid = table.victim.druid
    settings = settings_for(
        tmp_path,
        druid.broker_url,
        druid_coordinator_url=druid.coordinator_url,
        requests_per_minute=1_000_000,
        coverage_period=2,
    )
    dataset = replace(CHAT_SESSIONS, data_source=table.name)
    async with serving(settings, datasets=[dataset]) as gateway, Client(gateway) as client:
        watched = Watched(table, client)
        await watched.has_all()
        # Rows that arrived a moment earlier may not have been seen yet.
        await asyncio.sleep(3)
        async with running(watched.ask_druid, watched.write, *[watched.read] * READERS):
            await asyncio.sleep(3)
            assert watched.outcomes.keys() == {"200"}
            yield watched


async def shut_down_tasks(table: Table) -> None:
    """As an operator does, or a supervisor that gives a task up: another one follows at once."""
    async with connect(table.victim.urls) as client:
        tasks = await client.overlord.tasks(table.name, running=True)
    for task in tasks:
        url = f"{table.victim.urls.overlord}/druid/indexer/v1/task/{task.task_id}/shutdown"
        async with table.session.post(url, json={}) as response:
            assert response.status == 200


async def kill(table: Table) -> None:
    await asyncio.to_thread(table.victim.kill_indexer)


async def restart(table: Table) -> None:
    await asyncio.to_thread(table.victim.kill_indexer, signal.SIGTERM)


@pytest.mark.parametrize("hurt", [kill, restart, shut_down_tasks])
async def test_no_answer_misses_rows_that_a_task_has_to_read_again(
    watched: Watched, hurt: Callable[[Table], Awaitable[None]]
) -> None:
    await hurt(watched.table)
    async with asyncio.timeout(PATIENCE):
        while not watched.unasked["fewer"]:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.05)
    await watched.has_all()
    await asyncio.sleep(5)
    print(hurt.__name__, watched.outcomes, watched.unasked)
    assert watched.wrong == []
    assert watched.outcomes.keys() <= {"200", "data_unavailable", "bad_upstream_answer"}
    assert watched.outcomes["data_unavailable"]
    # It is over: nothing is refused any more.
    watched.outcomes.clear()
    await asyncio.sleep(3)
    assert watched.outcomes.keys() == {"200"}


async def test_nothing_is_refused_while_rows_are_handed_over_and_compacted_and_the_coordinator_restarts(
    victim: Victim, watched: Watched
) -> None:
    table = watched.table
    # A task lasts a minute.
    async with asyncio.timeout(PATIENCE):
        while not await shards(table):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(1)
    await lifecycle.suspend(victim.urls, table.name, wait_seconds=PATIENCE)
    await lifecycle.resume(victim.urls, table.name)
    async with asyncio.timeout(PATIENCE):
        while {shard["type"] for shard in await shards(table)} != {"single"}:
            await compact(table)
            await asyncio.sleep(2)
    await asyncio.to_thread(victim.kill, Service.COORDINATOR)
    await victim.is_well()
    await watched.has_all()
    print(watched.outcomes, watched.unasked)
    assert watched.wrong == []
    assert watched.outcomes.keys() == {"200"}


async def test_rows_that_retention_drops_once_they_are_published_are_missed_no_more(
    victim: Victim, watched: Watched
) -> None:
    table = watched.table
    url = f"{victim.urls.overlord}/druid/coordinator/v1/rules/{table.name}"
    async with table.session.post(url, json=[{"type": "dropForever"}]) as response:
        assert response.status == 200
    await lifecycle.suspend(victim.urls, table.name)
    async with asyncio.timeout(PATIENCE):
        while await watched.ask(ALL) != 0:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.1)
