"""Each of the data sets in Druid, a gateway that serves it, and the oracle over its original rows."""

import asyncio
import json
import secrets
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from druid.lookups import register, remove
from gateway import ingest
from gateway.accounts.store import Accounts
from gateway.catalog.load import load_catalog
from tests.conftest import SPECS, Druid
from tests.live.data_sets.world import World, lines_of
from tests.live.data_sets.worlds import WORLDS
from tests.oracle.oracle import Oracle
from tests.oracle.reports import Data
from tests.serving import Gateway, serving_aside, settings_for


@dataclass(frozen=True, slots=True)
class Served:
    """A data set that is served, and what its answers should be."""

    world: World
    gateway: Gateway
    oracle: Oracle
    data: Data


@pytest.fixture(scope="package", params=WORLDS)
def served(request: pytest.FixtureRequest, druid: Druid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    world = WORLDS[request.param]()
    folder = tmp_path_factory.mktemp(world.name)
    unique = secrets.token_hex(4)
    text = world.file.replace("LOOKUP_", f"test_{unique}_")
    (folder / "data_set.yaml").write_text(text, encoding="utf-8")
    datasets = load_catalog([folder / "data_set.yaml"])
    for name, rows in (("original", world.original), ("stored", world.stored)):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as out:
            out.writelines(lines_of(rows))
    lookups = {name.replace("LOOKUP_", f"test_{unique}_"): names for name, names in world.lookups.items()}
    if lookups:
        register(druid.coordinator_url, lookups)
    data_source = f"test_{world.name}_{unique}"
    spec = ingest.parse("spec.json", json.dumps(_task(world)), datasets, brings_files=True)
    urls = ingest.DruidUrls.parse(overlord=druid.coordinator_url, broker=druid.broker_url)
    asyncio.run(ingest.ingest(spec, urls, files=[folder / "stored.jsonl"], data_source=data_source))
    dataset = replace(datasets[world.name], data_source=data_source)
    settings = settings_for(
        folder, druid.broker_url, druid_coordinator_url=druid.coordinator_url, requests_per_minute=10**9
    )
    oracle = Oracle(folder / "original.jsonl", world.columns)
    with serving_aside(settings, organizations=world.owners, datasets=[dataset]) as gateway:
        asyncio.run(_partners(gateway, world))
        yield Served(world, gateway, oracle, Data.of(oracle))
    _delete(f"{druid.coordinator_url}/druid/coordinator/v1/datasources/{data_source}")
    for name in lookups:
        remove(druid.coordinator_url, name)


def _task(world: World) -> dict[str, Any]:
    task: dict[str, Any] = json.loads((SPECS / "chat_sessions.json").read_text())
    schema = task["spec"]["dataSchema"]
    schema |= {key: world.spec[key] for key in ("dimensionsSpec", "metricsSpec")}
    schema["dataSource"] = world.name
    schema["granularitySpec"] |= world.spec["granularitySpec"]
    task["spec"]["tuningConfig"]["partitionsSpec"]["partitionDimensions"] = [world.spec["owner"]]
    return task


async def _partners(gateway: Gateway, world: World) -> None:
    async with Accounts(gateway.settings) as accounts, accounts.administration() as administration:
        existing = {(each.organization_id, each.partner_id) for each in await administration.partnerships.all()}
        if world.owners[:2] not in existing:
            await administration.partnerships.create(*world.owners[:2])


def _delete(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()
