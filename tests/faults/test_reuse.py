"""Responses are reused while the data changes constantly and servers fail: none is wrong, none is older than promised.

Most requests are conditional: a caller has a response, and a 304 says that it is still right. Each ingestion replaces a
day by another number of rows, so that an answer shows which data it comes from.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from druid.services import Service
from gateway import ingest
from tests.conftest import SPECS
from tests.datasets import CHAT_SESSIONS, DATASETS
from tests.faults.conftest import fixture
from tests.faults.victim import Victim
from tests.faults.waiting import PATIENCE, until
from tests.serving import D, Gateway, P, T, serving, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="session")

DATA_SOURCE = "reused"
REUSE_SECONDS = 0.5
REQUESTS = 20_000
"""Conditional requests, and half as many of the others."""
CONDITIONAL = 2 / 3
CALLERS = 8
DAY = {"start": "2019-01-01", "end": "2019-01-02"}
COUNT = {"type": "count"}
# The count is the last column of each, in the first row.
REPORTS: tuple[Mapping[str, Any], ...] = (
    {"interval": DAY, "aggregations": [COUNT]},
    {"interval": DAY, "aggregations": [COUNT], "granularity": "day"},
    {"interval": {"start": "2018-06-01", "end": "2019-06-01"}, "aggregations": [COUNT]},
    {"interval": DAY, "aggregations": [COUNT], "group_by": ["scope"]},
    {"interval": DAY, "aggregations": [COUNT], "group_by": ["scope"], "totals": True},
)


@dataclass(slots=True)
class Changes:
    """How many rows each organization had, and since when Druid itself has answered so; the latest last."""

    victim: Victim
    file: Path
    rows: int = 0
    seen: list[tuple[float, int]] = field(default_factory=list)

    async def replace_data(self) -> None:
        """Ingest one row more than last time."""
        self.rows += 1
        row = {"timestamp": "2019-01-01T12:00:00Z", "scope": "org"}
        lines = [json.dumps(row | {"owner_organization_id": owner}) for owner in (D, T) for _ in range(self.rows)]
        self.file.write_text("\n".join(lines))
        text = (SPECS / "chat_sessions.json").read_text()
        spec = ingest.parse("chat_sessions.json", text, DATASETS, brings_files=True)
        urls = ingest.DruidUrls.parse(self.victim.druid.coordinator_url, self.victim.druid.broker_url)
        await ingest.ingest(spec, urls, files=[self.file], data_source=DATA_SOURCE)

    async def watch(self) -> None:
        """Ask Druid directly, all the time."""
        native = {
            "queryType": "timeseries",
            "dataSource": DATA_SOURCE,
            "intervals": "2019-01-01/2019-01-02",
            "granularity": "all",
            "aggregations": [{"type": "count", "name": "count"}],
        }
        url = f"{self.victim.druid.broker_url}/druid/v2"
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.post(url, json=native) as response:
                    found = await response.json() if response.status == 200 else []
                count = found[0]["result"]["count"] // 2 if found else 0
                if count > self.oldest_allowed(float("inf")):
                    self.seen.append((asyncio.get_running_loop().time(), count))
                await asyncio.sleep(0.05)

    def oldest_allowed(self, moment: float) -> int:
        """Return the number of rows that Druid certainly had at this moment."""
        return max((rows for at, rows in self.seen if at <= moment), default=0)


Counts = tuple[int, ...]
"""The numbers of rows that a response tells: those of the groups, then the total."""


@dataclass(slots=True)
class Callers:
    """Callers that repeat the reports, some of them without reuse, most of them as conditional requests.

    `stored` has the ETag of the last response to a link, and what the response says.
    """

    gateway: Gateway
    changes: Changes
    outcomes: Counter[str] = field(default_factory=Counter)
    reuse: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    conditional: int = 0
    stored: dict[str, tuple[str, Counts]] = field(default_factory=dict)

    async def ask_for_ever(self, session: aiohttp.ClientSession) -> None:
        while True:
            body, organization = random.choice(REPORTS), random.choice((D, T))
            if random.random() < CONDITIONAL:
                await self._ask_again(session, body, organization)
            else:
                await self._ask(session, body, organization, fresh=random.random() < 0.05)

    async def _ask(
        self, session: aiohttp.ClientSession, body: Mapping[str, Any], organization: str, *, fresh: bool
    ) -> None:
        headers = self._authorization(organization) | ({"Cache-Control": "no-cache"} if fresh else {})
        asked = asyncio.get_running_loop().time()
        url = self.gateway.url + self.gateway.path(organization)
        async with session.post(url, json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
        self._note(response, answer, asked - (0 if fresh else REUSE_SECONDS))

    async def _ask_again(self, session: aiohttp.ClientSession, body: Mapping[str, Any], organization: str) -> None:
        """Request a link, with the ETag of its last response if there is one."""
        url = f"{self.gateway.url}{self.gateway.path(organization)}/report?q={quote(json.dumps(body))}"
        etag, told = self.stored.get(url, ("", ()))
        headers = self._authorization(organization) | ({"If-None-Match": etag} if etag else {})
        self.conditional += bool(etag)
        asked = asyncio.get_running_loop().time() - REUSE_SECONDS
        async with session.get(URL(url, encoded=True), headers=headers) as response:
            if response.status == 304:
                self._check(told, asked, response)
                return
            answer = await response.json(content_type=None)
        counts = self._note(response, answer, asked)
        if "ETag" in response.headers:
            self.stored[url] = response.headers["ETag"], counts

    def _authorization(self, organization: str) -> dict[str, str]:
        return {"Authorization": f"Token {self.gateway.tokens[organization]}"}

    def _note(self, response: aiohttp.ClientResponse, answer: Any, moment: float) -> Counts:
        """Check a response that has content. Its data must be that of the moment, or newer."""
        if response.status != 200:
            self.outcomes[answer["code"]] += 1
            return ()
        self.reuse[response.headers["Cache-Status"]] += 1
        counts = tuple(row[-1] for row in answer["data"])
        counts += (answer.get("totals", counts)[-1],) if counts else ()
        self._check(counts, moment, response)
        return counts

    def _check(self, counts: Counts, moment: float, response: aiohttp.ClientResponse) -> None:
        self.outcomes[str(response.status)] += 1
        least = self.changes.oldest_allowed(moment)
        if len(counts) != 2 or not all(least <= count <= self.changes.rows for count in counts):
            told = f"{response.status} {response.headers['Cache-Status']}"
            self.wrong.append(f"{counts} rows, at least {least}: {told}, {response.url}")


@asynccontextmanager
async def _running(*coroutines: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Reused:
    """Callers at work in front of changing data."""

    callers: Callers
    changes: Changes

    @classmethod
    @asynccontextmanager
    async def running(cls, victim: Victim, folder: Path) -> AsyncIterator[Self]:
        changes = Changes(victim, folder / "rows.jsonl")
        await changes.replace_data()
        settings = settings_for(
            folder,
            victim.druid.broker_url,
            druid_coordinator_url=victim.druid.coordinator_url,
            coverage_period=0.5,
            reuse_seconds=REUSE_SECONDS,
            requests_per_minute=10_000_000,
            cpu_seconds_per_minute=86_400,
        )
        dataset = replace(CHAT_SESSIONS, data_source=DATA_SOURCE)
        async with (
            serving(settings, organizations=[D, P, T], datasets=[dataset]) as gateway,
            aiohttp.ClientSession() as session,
        ):
            callers = Callers(gateway, changes)
            async with _running(changes.watch(), *(callers.ask_for_ever(session) for _ in range(CALLERS))):
                yield cls(callers, changes)


@fixture()
async def reused(druid: Victim, tmp_path: Path) -> AsyncIterator[Reused]:
    await druid.is_well()
    async with Reused.running(druid, tmp_path) as running:
        yield running


async def _compact(victim: Victim) -> None:
    task = {
        "type": "compact",
        "dataSource": DATA_SOURCE,
        "ioConfig": {"type": "compact", "inputSpec": {"type": "interval", "interval": "2019-01-01/2019-02-01"}},
        "granularitySpec": {"segmentGranularity": "day", "rollup": False},
    }
    await victim.run_task(task)


async def test_no_reused_response_is_wrong_or_too_old(reused: Reused, druid: Victim) -> None:
    callers, changes = reused.callers, reused.changes
    for _ in range(3):
        await changes.replace_data()
    await _compact(druid)
    await changes.replace_data()
    await druid.kill(Service.HISTORICAL)
    await druid.is_ready(Service.HISTORICAL)
    await changes.replace_data()
    await druid.kill(Service.HISTORICAL)
    await druid.is_well()

    async def are_enough() -> bool:
        return callers.conditional >= REQUESTS and changes.oldest_allowed(float("inf")) == changes.rows

    # Druid itself must have shown the last change.
    await until(are_enough, seconds=PATIENCE)
    print(callers.outcomes, callers.conditional, callers.reuse, changes.seen)
    assert callers.wrong == []
    assert callers.outcomes.keys() <= {"200", "304", "data_unavailable", "bad_upstream_answer", "upstream_unavailable"}
    assert callers.outcomes["200"] >= REQUESTS // 4
    assert callers.outcomes["304"] >= REQUESTS // 4
    assert changes.rows == 6
    assert callers.reuse["gateway; hit"] > 0
    assert callers.reuse["gateway; fwd=stale; fwd-status=304"] > 0
    assert callers.reuse["gateway; fwd=request"] > 0
