"""The real gateway over a socket, with a stand-in in Druid's place, all in the test's own event loop."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.http.asking import Client
from tests.http.stand_in import StandIn, standing_in
from tests.serving import D, Gateway, P, T, make_accounts, serving, settings_for

StartProcess = Callable[..., AbstractAsyncContextManager["Process"]]
Start = Callable[..., Coroutine[Any, Any, Client]]


@pytest.fixture
async def druid_stand_in() -> AsyncIterator[StandIn]:
    async with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a gateway in front of a broker's URL; further keywords are fields of Settings. It reuses no responses."""
    async with AsyncExitStack() as stack:

        async def start(broker_url: str, **changes: Any) -> Client:
            settings = settings_for(tmp_path, broker_url, **{"reuse_seconds": 0.0, **changes})
            gateway = await stack.enter_async_context(serving(settings))
            return await stack.enter_async_context(Client(gateway))

        yield start


@pytest.fixture
async def client(start: Start, druid_stand_in: StandIn) -> Client:
    return await start(druid_stand_in.url)


@dataclass(frozen=True, slots=True)
class Process:
    """`gateway serve` in a process of its own, as it is run in earnest; what it logs is in a file."""

    client: Client
    log: Path
    process: asyncio.subprocess.Process

    def lines(self) -> list[dict[str, Any]]:
        # What follows the last line feed is still being written.
        return [json.loads(line) for line in self.log.read_text().split("\n")[:-1]]


@pytest.fixture
def start_process(tmp_path: Path) -> StartProcess:
    """Start the command in front of a broker's URL, with JSON logs; further keywords are settings.

    With several workers it is ready once all of them are. Without `ready` the process may still be starting.
    """

    @asynccontextmanager
    async def start(
        broker_url: str, *, workers: int = 1, ready: bool = True, **changes: object
    ) -> AsyncIterator[Process]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        settings = settings_for(tmp_path, broker_url, port=port)
        tokens = await make_accounts(settings, (D, P, T))
        log = tmp_path / "log.jsonl"
        environment = {
            "PATH": os.environ["PATH"],
            "GATEWAY_PORT": str(port),
            "GATEWAY_DATABASE_URL": settings.database_url.get_secret_value(),
            "GATEWAY_TOKEN_SECRET": settings.token_secret.get_secret_value(),
            "GATEWAY_DRUID_BROKER_URL": broker_url,
            "GATEWAY_COMPLETENESS": "on" if "druid_coordinator_url" in changes else "off",
            "GATEWAY_REQUEST_TIMEOUT": "10",
            "GATEWAY_REUSE_SECONDS": "0",
            "GATEWAY_LOG_FORMAT": "json",
            **{f"GATEWAY_{name.upper()}": str(value) for name, value in changes.items()},
            **{name: value for name, value in os.environ.items() if name.startswith("OTEL_")},
        }
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "serve", "--workers", str(workers)),
                env=environment,
                stdout=output,
                stderr=output,
            )
        try:
            gateway = Gateway(f"http://127.0.0.1:{port}", tokens, settings, web.Application())
            async with Client(gateway) as client:
                event = b'"listening"' if workers == 1 else b'"workers_ready"'
                async with asyncio.timeout(30 * workers):
                    while ready and event not in log.read_bytes():
                        assert process.returncode is None, log.read_text()
                        await asyncio.sleep(0.05)
                yield Process(client, log, process)
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), 10 * workers)

    return start
