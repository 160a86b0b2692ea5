"""A gateway with limits, and the requests of its callers."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession

from tests.isolation.stand_in import StandIn, standing_in
from tests.serving import D, Gateway, serving, settings_for

BODY = {
    "interval": {"start": "2019-01-01", "end": "2019-01-02"},
    "aggregations": [{"type": "count"}],
}


@dataclass
class Running:
    """A gateway, and a way to ask it in this event loop."""

    gateway: Gateway
    session: ClientSession
    druid: StandIn

    async def ask(self, caller: str = D, about: str = "", token: str = "", **headers: str) -> ClientResponse:
        headers = {"Authorization": f"Token {token or self.gateway.tokens[caller]}", **headers}
        url = self.gateway.url + self.gateway.path(about or caller)
        async with self.session.post(url, json=BODY, headers=headers) as response:
            await response.read()
            return response

    async def statuses(self, times: int, **how: str) -> list[int]:
        return [(await self.ask(**how)).status for _ in range(times)]


Start = Callable[..., Awaitable[Running]]


@asynccontextmanager
async def limited_gateways(tmp_path: Path) -> AsyncIterator[Start]:
    """Yield a function that starts a gateway; its keywords are fields of Settings."""
    async with AsyncExitStack() as stack:
        druid = await stack.enter_async_context(standing_in())
        session = await stack.enter_async_context(ClientSession())

        async def start(**changes: Any) -> Running:
            folder = tmp_path / str(time.monotonic_ns())
            folder.mkdir()
            gateway = await stack.enter_async_context(serving(settings_for(folder, druid.url, **changes)))
            return Running(gateway, session, druid)

        yield start
