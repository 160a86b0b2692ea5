"""A Druid with sample data, for fault injection."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from druid.cluster import Cluster
from druid.health import is_healthy
from druid.services import Ports, Service
from gateway import ingest
from tests.datasets import DATASETS
from tests.faults.waiting import PATIENCE, until

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "ingestion-specs"
SHAPE = {"sessions": 4000, "organizations": 6, "seed": 1}
# Different from Druid's default ports and those of the other tests' clusters, and below the ports of outgoing
# connections, one of which could take the port of a stopped service.
PORT_OFFSET = 23500

# The gateway's query ids, which are in the names of Druid's processing threads.
_QUERY = re.compile(r"[0-9a-f]{32}-(?:report|totals|range)")
_DUMPED = "JNI global ref"


@dataclass(frozen=True, slots=True)
class Victim:
    """A cluster whose services tests kill and freeze. supervisord restarts killed ones.

    `organizations` are those of the data.
    """

    druid: Cluster
    organizations: tuple[str, ...]

    def signal(self, service: Service, number: signal.Signals) -> None:
        os.kill(self._pid(service), number)

    async def kill(self, service: Service) -> None:
        """Kill its process, and return when it is gone. A new one may already be starting."""
        pid = self._pid(service)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: asyncio.to_thread(_is_gone, pid))

    async def is_ready(self, service: Service) -> None:
        """Wait until the service is ready."""
        await until(lambda: asyncio.to_thread(is_healthy, service, self.druid.ports))

    async def is_well(self) -> None:
        """Wait until every service is healthy and all data is served."""
        await asyncio.to_thread(self.druid.start, timeout=PATIENCE)

    async def is_settled(self) -> None:
        """Wait until ZooKeeper has ended the sessions of killed processes, and everything is well.

        When it ends a historical's, 15 s after the kill, it removes the announcement that the new process has taken
        over. Until that has announced itself again, for about 40 ms, the broker serves none of its segments.
        """
        await self.is_well()
        await until(lambda: asyncio.to_thread(_has_live_sessions_only, self.druid.ports.zookeeper))
        await self.is_well()

    async def replace_data(self) -> None:
        """Ingest the same rows again, which replaces all segments."""
        await _ingest(self.druid)

    async def run_task(self, task: Mapping[str, Any]) -> None:
        """Submit a task to the overlord, and wait until it has succeeded."""
        overlord = f"{self.druid.coordinator_url}/druid/indexer/v1/task"
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            async with session.post(overlord, json=task) as response:
                task_id = (await response.json())["task"]

            async def has_ended() -> bool:
                async with session.get(f"{overlord}/{task_id}/status") as response:
                    status = (await response.json())["status"]["status"]
                assert status != "FAILED"
                return bool(status == "SUCCESS")

            await until(has_ended)

    async def queries(self) -> set[str]:
        """Return the ids of the gateway's queries that broker or historical are processing, from their thread names."""
        services = (Service.BROKER, Service.HISTORICAL)
        dumps = await asyncio.gather(*(self._threads(service) for service in services))
        return {found for dump in dumps for found in _QUERY.findall(dump)}

    async def _threads(self, service: Service) -> str:
        """Return the thread dump that a JVM prints on SIGQUIT."""
        path = self.druid.layout.log(service)
        with path.open() as log:
            log.seek(0, os.SEEK_END)
            self.signal(service, signal.SIGQUIT)
            dump = ""
            async with asyncio.timeout(PATIENCE):
                while _DUMPED not in dump:
                    await asyncio.sleep(0.02)
                    dump += log.read()
                    if not path.samefile(f"/proc/self/fd/{log.fileno()}"):
                        # supervisord continues in a new file when one is full.
                        return dump + await self._threads(service)
        return dump

    def _pid(self, service: Service) -> int:
        pid = self.druid.pid(service)
        if pid is None:
            raise ProcessLookupError(f"{service} does not run")
        return pid


def _has_live_sessions_only(port: int) -> bool:
    """Whether each session that announces something in the ZooKeeper of this port has a connection."""
    announcing = set(re.findall(r"^(0x\w+):$", _zookeeper(port, b"dump"), re.MULTILINE))
    return bool(announcing) and announcing <= set(re.findall(r"sid=(0x\w+)", _zookeeper(port, b"cons")))


def _zookeeper(port: int, command: bytes) -> str:
    """Return the response to one of ZooKeeper's commands of four letters."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile() as response:
        connection.sendall(command)
        return response.read()


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@asynccontextmanager
async def running(name: str = "test-faults", port_offset: int = PORT_OFFSET) -> AsyncIterator[Victim]:
    """Start a new cluster of this name with sample data. Raises ClusterError or IngestError."""
    druid = Cluster(var=ROOT / "var" / name, ports=Ports.shifted(port_offset))
    # Remove what an earlier run left behind, for example a killed one.
    await asyncio.to_thread(druid.stop)
    shutil.rmtree(druid.var)
    try:
        await asyncio.to_thread(druid.start, timeout=PATIENCE)
        yield Victim(druid, await _fill(druid))
    finally:
        # `stop` kills frozen processes.
        await asyncio.to_thread(druid.stop)


async def _fill(druid: Cluster) -> tuple[str, ...]:
    rows = _rows(druid)
    await asyncio.to_thread(_generate, rows)
    await _ingest(druid)
    owners = {json.loads(line)["owner_organization_id"] for line in rows.read_text().splitlines()}
    return tuple(sorted(owners))


def _rows(druid: Cluster) -> Path:
    return druid.var / "chat_sessions.jsonl"


async def _ingest(druid: Cluster) -> None:
    spec = ingest.parse("chat_sessions.json", (SPECS / "chat_sessions.json").read_text(), DATASETS, brings_files=True)
    await ingest.ingest(spec, ingest.DruidUrls.parse(druid.coordinator_url, druid.broker_url), files=[_rows(druid)])


def _generate(rows: Path) -> None:
    options = [text for name, value in SHAPE.items() for text in (f"--{name}", str(value))]
    generator = SPECS / "samples" / "chat_sessions.py"
    subprocess.run([sys.executable, generator, *options, "--out", rows], check=True, capture_output=True)
