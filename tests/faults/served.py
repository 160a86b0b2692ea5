"""The gateway in a separate process, as in production. tests/faults/observed.py shows its resources."""

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil
from pydantic import SecretStr

from gateway.accounts.settings import AccountSettings
from tests.faults.observed import Held
from tests.serving import make_accounts

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Served:
    """A running gateway. `tokens` has one per organization, `log` is the file of its JSON lines."""

    url: str
    pid: int
    tokens: Mapping[str, str]
    log: Path
    _brokers: frozenset[int]
    _observed: str

    async def held(self) -> Held:
        """Return its current resources."""
        async with aiohttp.ClientSession() as session, session.get(self._observed, raise_for_status=True) as response:
            return Held(**await response.json())

    def sockets(self) -> int:
        """Return the number of its connections to a broker, as counted by the kernel."""
        found = psutil.Process(self.pid).net_connections("tcp")
        return sum(bool(each.raddr) and each.raddr.port in self._brokers for each in found)


@asynccontextmanager
async def serving(folder: Path, organizations: Iterable[str], **settings: object) -> AsyncIterator[Served]:
    """Run a gateway with these settings until the end of the block. SIGTERM ends it."""
    port, observed = _free_port(), _free_port()
    given = {
        "database_url": f"sqlite:///{folder}/accounts.db",
        "token_secret": secrets.token_hex(32),
        "requests_per_minute": 1_000_000,
        "log_format": "json",
        "port": port,
        **settings,
    }
    access = AccountSettings(
        database_url=SecretStr(str(given["database_url"])), token_secret=SecretStr(str(given["token_secret"]))
    )
    tokens = await make_accounts(access, organizations)
    environment = {f"GATEWAY_{name.upper()}": str(value) for name, value in given.items()}
    log = folder / "gateway.jsonl"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.observed", "serve"),
            env={"PATH": os.environ["PATH"], "OBSERVED_PORT": str(observed), **environment},
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(60):
            while b'"listening"' not in log.read_bytes():
                if process.returncode is not None:
                    raise RuntimeError(f"The gateway ended while it started:\n{log.read_text()}")
                await asyncio.sleep(0.02)
        brokers = frozenset(urlsplit(url).port or 80 for url in str(given["druid_broker_url"]).split(","))
        yield Served(f"http://127.0.0.1:{port}", process.pid, tokens, log, brokers, f"http://127.0.0.1:{observed}")
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
