"""One of two appended segments of a month is lost: Druid answers with the other one."""

import json
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from druid.services import Service
from tests.conftest import SPECS
from tests.datasets import CHAT_SESSIONS
from tests.faults.conftest import fixture
from tests.faults.victim import Victim
from tests.faults.waiting import until
from tests.http.asking import Client, assert_problem
from tests.serving import T, serving, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="session")

DATA_SOURCE = "appended"
JANUARY = {"start": "2019-01-01", "end": "2019-02-01"}
COUNT = {"interval": JANUARY, "aggregations": [{"type": "count"}]}
FEBRUARY = COUNT | {"interval": {"start": "2019-02-01", "end": "2019-03-01"}}
ROWS = 20


def row(number: int) -> dict[str, Any]:
    return {
        "timestamp": f"2019-01-{number + 1:02}T12:00:00Z",
        "owner_organization_id": T,
        "chat_session_id": f"s{number}",
    }


@dataclass(frozen=True, slots=True)
class Appended:
    """A client of a gateway. `second` are the folders of the second segment, in deep storage and in the historical."""

    client: Client
    second: tuple[Path, ...]


async def _counts(victim: Victim, rows: int) -> bool:
    """Return whether Druid itself counts so many rows."""
    native = {
        "queryType": "timeseries",
        "dataSource": DATA_SOURCE,
        "intervals": "2019-01-01/2019-02-01",
        "granularity": "all",
        "aggregations": [{"type": "count", "name": "count"}],
    }
    url = f"{victim.druid.broker_url}/druid/v2"
    async with aiohttp.ClientSession() as session, session.post(url, json=native) as answer:
        found = await answer.json()
    return answer.status == 200 and [each["result"]["count"] for each in found] == [rows]


async def _append(victim: Victim, rows: list[dict[str, Any]]) -> None:
    """Append rows in a new segment. (`gateway ingest` replaces data instead.)"""
    spec = json.loads((SPECS / "chat_sessions.json").read_text())
    spec["spec"]["dataSchema"]["dataSource"] = DATA_SOURCE
    spec["spec"]["ioConfig"] |= {"appendToExisting": True, "dropExisting": False}
    spec["spec"]["ioConfig"]["inputSource"] = {"type": "inline", "data": "\n".join(map(json.dumps, rows))}
    spec["spec"]["tuningConfig"] |= {"forceGuaranteedRollup": False, "partitionsSpec": {"type": "dynamic"}}
    await victim.run_task(spec)


@fixture()
async def appended(druid: Victim, tmp_path: Path) -> AsyncIterator[Appended]:
    await druid.is_well()
    for number in range(2):
        await _append(druid, [row(number * ROWS // 2 + each) for each in range(ROWS // 2)])
    await until(lambda: _counts(druid, ROWS))
    folders = [druid.druid.var / kind / DATA_SOURCE for kind in ("segments", "segment-cache")]
    second = tuple(found for folder in folders for found in folder.glob("2019-01-01*/*/1"))
    assert len(second) == 2
    url = druid.druid.coordinator_url
    settings = settings_for(tmp_path, druid.druid.broker_url, druid_coordinator_url=url, coverage_period=0.5)
    dataset = replace(CHAT_SESSIONS, data_source=DATA_SOURCE)
    async with serving(settings, organizations=[T], datasets=[dataset]) as gateway, Client(gateway) as client:
        yield Appended(client, second)


async def test_a_lost_segment_is_503_where_druid_answers_without_it(appended: Appended, druid: Victim) -> None:
    assert (await appended.client.post(COUNT, organization=T)).data[0][-1] == ROWS
    stored, cached = appended.second
    shutil.move(stored, stored.with_name("away"))
    shutil.rmtree(cached)
    druid.signal(Service.HISTORICAL, signal.SIGTERM)

    async def druid_is_wrong() -> bool:
        # Meanwhile every response is correct or an error.
        answer = await appended.client.post(COUNT, organization=T)
        assert answer.status != 200 or answer.data[0][-1] == ROWS
        return await _counts(druid, ROWS // 2)

    try:
        await until(druid_is_wrong)
        assert_problem(await appended.client.post(COUNT, organization=T), 503, "data_unavailable")
        assert (await appended.client.post(FEBRUARY, organization=T)).status == 200
    finally:
        shutil.move(stored.with_name("away"), stored)

    async def is_back() -> bool:
        answer = await appended.client.post(COUNT, organization=T)
        assert answer.status != 200 or answer.data[0][-1] == ROWS
        return answer.status == 200

    await until(is_back)
