"""gateway.client in front of the real gateway, in the test's own event loop. The blocking client has a thread."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.client import AsyncClient, Client, Report
from gateway.client.exchange import Operation
from gateway.client.operations import DataSetPath
from tests.datasets import CHAT_SESSIONS
from tests.http.stand_in import StandIn, standing_in
from tests.serving import D, Gateway, serving, settings_for

Run = Callable[[Operation[Any]], Coroutine[Any, Any, Any]]
Open = Callable[..., Awaitable[Run]]
Start = Callable[..., Awaitable[Gateway]]

SESSIONS = DataSetPath(D, CHAT_SESSIONS.name)
REPORT: Report = {
    "interval": {"start": "2019-01-01", "end": "2019-01-02", "time_zone": "Europe/Helsinki"},
    "aggregations": [{"type": "count"}],
}


@pytest.fixture
async def druid_stand_in() -> AsyncIterator[StandIn]:
    async with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
async def start(tmp_path: Path, druid_stand_in: StandIn) -> AsyncIterator[Start]:
    """Start a gateway in front of the stand-in; keywords are fields of Settings."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> Gateway:
            settings = settings_for(tmp_path, druid_stand_in.url, **{"reuse_seconds": 0.0, **changes})
            return await stack.enter_async_context(serving(settings))

        yield start


@pytest.fixture(params=["blocking", "async"])
async def open_client(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Open either client at a URL; further arguments are the client's. It returns how to run an operation."""
    async with AsyncExitStack() as stack:

        async def open_client(url: str, token: str = "token", **options: Any) -> Run:
            if request.param == "async":
                return (await stack.enter_async_context(AsyncClient(url, token, **options))).run
            client = stack.enter_context(Client(url, token, **options))
            return lambda operation: asyncio.to_thread(client.run, operation)

        yield open_client
