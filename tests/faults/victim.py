"""A Druid that may be hurt, with sample data in it."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from druid.cluster import Cluster
from druid.health import is_healthy
from druid.services import Ports, Service
from gateway import ingest
from tests.datasets import DATASETS
from tests.faults.waiting import PATIENCE, until

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "ingestion-specs"
SHAPE = {"sessions": 4000, "organizations": 6, "seed": 1}
# Away from Druid's own ports, from those of the other tests' clusters, and from those that the kernel gives to clients'
# connections: one of these could have the port of a service that is away.
PORT_OFFSET = 23500

# The gateway's query ids, which Druid writes into the name of the thread that works on the query.
_QUERY = re.compile(r"[0-9a-f]{32}-(?:report|totals|range)")
_DUMPED = "JNI global ref"


@dataclass(frozen=True, slots=True)
class Victim:
    """A cluster whose services may be killed and frozen; supervisord starts again what was killed.

    `organizations` are those of the data.
    """

    druid: Cluster
    organizations: tuple[str, ...]

    def signal(self, service: Service, number: signal.Signals) -> None:
        os.kill(self._pid(service), number)

    async def kill(self, service: Service) -> None:
        """End its process at once; return when it is gone, and another one perhaps on its way."""
        pid = self._pid(service)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: asyncio.to_thread(_is_gone, pid))

    async def is_ready(self, service: Service) -> None:
        """Wait until the service says that it can do its work."""
        await until(lambda: asyncio.to_thread(is_healthy, service, self.druid.ports))

    async def is_well(self) -> None:
        """Wait until every service is healthy and all data is served."""
        await asyncio.to_thread(self.druid.start, timeout=PATIENCE)

    async def replace_data(self) -> None:
        """Ingest the same rows again: new segments take the place of all that there are."""
        await _ingest(self.druid)

    async def queries(self) -> set[str]:
        """Return the ids of the gateway's queries on which broker or historical work, as their threads tell."""
        services = (Service.BROKER, Service.HISTORICAL)
        dumps = await asyncio.gather(*(self._threads(service) for service in services))
        return {found for dump in dumps for found in _QUERY.findall(dump)}

    async def _threads(self, service: Service) -> str:
        """Return the dump of its threads that a JVM writes to its output when it gets SIGQUIT."""
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
                        # supervisord goes on in a new file when one is full.
                        return dump + await self._threads(service)
        return dump

    def _pid(self, service: Service) -> int:
        pid = self.druid.pid(service)
        if pid is None:
            raise ProcessLookupError(f"{service} does not run")
        return pid


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@asynccontextmanager
async def running(name: str = "test-faults", port_offset: int = PORT_OFFSET) -> AsyncIterator[Victim]:
    """Start a cluster of this name from nothing, with sample data in it. Raises ClusterError or IngestError."""
    druid = Cluster(var=ROOT / "var" / name, ports=Ports.shifted(port_offset))
    # What an earlier run left, perhaps one that was killed.
    await asyncio.to_thread(druid.stop)
    shutil.rmtree(druid.var)
    try:
        await asyncio.to_thread(druid.start, timeout=PATIENCE)
        yield Victim(druid, await _fill(druid))
    finally:
        # What is frozen does not end.
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
