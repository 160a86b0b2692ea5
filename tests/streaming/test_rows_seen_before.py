"""A gateway in front of a stream: rows that a response has included are in every later one, or the request fails."""

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
    """A table behind a gateway that several clients query all the time, while rows arrive.

    `wrong` are responses with fewer rows than an earlier one, or with more than were ever sent.
    """

    table: Table
    client: Client
    outcomes: Counter[str] = field(default_factory=Counter)
    direct: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    obeys_retry_after: bool = False
    retried: int = 0

    async def read(self) -> None:
        while True:
            for interval in (ALL, ONE_MONTH):
                await self.ask(interval)

    async def ask(self, interval: dict[str, str]) -> int | None:
        key = interval["start"]
        before = self.seen[key]
        body = {"interval": interval, "aggregations": [{"type": "count"}]}
        answer = await self.client.post(body)
        if answer.status == 503 and self.obeys_retry_after:
            self.retried += 1
            await asyncio.sleep(int(answer.headers["retry-after"]))
            answer = await self.client.post(body)
        self.outcomes["200" if answer.status == 200 else answer.json["code"]] += 1
        if answer.status != 200:
            return None
        [[_, count]] = answer.data
        if not before <= count <= len(self.table.sent) + 1:
            self.wrong.append(f"{count} rows since {key}, after {before}, of {len(self.table.sent)} sent")
        self.seen[key] = max(self.seen[key], count)
        return int(count)

    async def ask_druid(self) -> None:
        """Query Druid directly, and count how often it returned fewer rows than before."""
        most = 0
        while True:
            count = await self.table.count()
            self.direct["500" if count is None else "fewer" if count < most else "200"] += 1
            most = max(most, count or 0)
            await asyncio.sleep(0.05)

    async def write(self) -> None:
        number = len(self.table.sent)
        while True:
            await self.table.send(numbered(number, number + 1))
            number += 1
            await asyncio.sleep(0.03)

    async def has_all(self) -> None:
        """Wait until a response has all rows of the organization that were sent by now."""
        own = sum(json.loads(line)["owner_organization_id"] == D for line in self.table.sent)
        async with asyncio.timeout(PATIENCE):
            while (await self.ask(ALL) or 0) < own:  # noqa: ASYNC110 - there are no events to wait for
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
    """A table with 2,000 rows, some of which only a task has."""
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
        # The gateway has not recorded rows of the last moment yet.
        await asyncio.sleep(3)
        async with running(watched.ask_druid, watched.write, *[watched.read] * READERS):
            await asyncio.sleep(3)
            assert watched.outcomes.keys() == {"200"}
            yield watched


async def shut_down_tasks(table: Table) -> None:
    """Shut down the tasks, as an operator may. Druid starts others immediately."""
    async with connect(table.victim.urls) as client:
        tasks = await client.overlord.tasks(table.name, running=True)
    for task in tasks:
        url = table.victim.urls.overlord / f"druid/indexer/v1/task/{task.task_id}/shutdown"
        async with table.session.post(url, json={}) as response:
            assert response.status == 200


async def kill(table: Table) -> None:
    await asyncio.to_thread(table.victim.kill_indexer)


async def restart(table: Table) -> None:
    await asyncio.to_thread(table.victim.kill_indexer, signal.SIGTERM)


@pytest.mark.parametrize("cause_fault", [kill, restart, shut_down_tasks])
async def test_no_response_lacks_rows_that_a_task_must_read_again(
    watched: Watched, cause_fault: Callable[[Table], Awaitable[None]]
) -> None:
    await cause_fault(watched.table)
    async with asyncio.timeout(PATIENCE):
        while not watched.direct["fewer"]:  # noqa: ASYNC110 - there are no events to wait for
            await asyncio.sleep(0.05)
    await watched.has_all()
    await asyncio.sleep(5)
    print(cause_fault.__name__, watched.outcomes, watched.direct)
    assert watched.wrong == []
    assert watched.outcomes.keys() <= {"200", "data_unavailable", "bad_upstream_answer"}
    assert watched.outcomes["data_unavailable"]
    # Afterwards no request fails.
    watched.outcomes.clear()
    await asyncio.sleep(3)
    assert watched.outcomes.keys() == {"200"}


async def test_no_request_fails_during_handover_compaction_and_a_restart_of_the_coordinator(
    victim: Victim, watched: Watched
) -> None:
    table = watched.table
    # A broker may learn that a task has let go of a segment a moment before it learns that a historical has it.
    watched.obeys_retry_after = True
    # A task lasts a minute.
    async with asyncio.timeout(PATIENCE):
        while not await shards(table):  # noqa: ASYNC110 - there are no events to wait for
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
    print(watched.outcomes, watched.direct, watched.retried)
    assert watched.wrong == []
    assert watched.outcomes.keys() == {"200"}


async def test_rows_that_retention_drops_after_publication_are_not_reported_as_missing(
    victim: Victim, watched: Watched
) -> None:
    table = watched.table
    url = victim.urls.overlord / f"druid/coordinator/v1/rules/{table.name}"
    async with table.session.post(url, json=[{"type": "dropForever"}]) as response:
        assert response.status == 200
    await lifecycle.suspend(victim.urls, table.name)
    async with asyncio.timeout(PATIENCE):
        while await watched.ask(ALL) != 0:  # noqa: ASYNC110 - there are no events to wait for
            await asyncio.sleep(0.1)
