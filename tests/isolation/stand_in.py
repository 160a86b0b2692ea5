"""A real HTTP server in Druid's place, for what a real Druid cannot be made to do: wait, and answer wrongly."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests import druid_schema


def no_rows(_query: dict[str, Any]) -> list[Any]:
    return []


@dataclass
class StandIn:
    """Answers each query with `answer(query)`, not before `open` is set; `queries` are those that came."""

    answer: Callable[[dict[str, Any]], Any] = no_rows
    open: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    queries: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def query(self, request: web.Request) -> web.Response:
        query = await request.json()
        if druid_schema.is_about_columns(query):
            return web.json_response(druid_schema.answer(query))
        async with self.came:
            self.queries.append(query)
            self.came.notify_all()
        await self.open.wait()
        return web.json_response(self.answer(query))

    async def candidates(self, _request: web.Request) -> web.Response:
        return web.json_response([druid_schema.SEGMENT])

    async def cancel(self, _request: web.Request) -> web.Response:
        return web.Response(status=202)

    async def readiness(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def arrived(self, count: int) -> None:
        """Wait until so many queries came."""
        async with asyncio.timeout(10), self.came:
            await self.came.wait_for(lambda: len(self.queries) >= count)


@asynccontextmanager
async def standing_in() -> AsyncIterator[StandIn]:
    druid = StandIn()
    druid.open.set()
    app = web.Application()
    app.router.add_post("/druid/v2", druid.query)
    app.router.add_get("/druid/v2/datasources/{name}/candidates", druid.candidates)
    app.router.add_delete("/druid/v2/{query_id}", druid.cancel)
    app.router.add_get("/druid/broker/v1/readiness", druid.readiness)
    async with TestServer(app) as server:
        druid.url = str(server.make_url(""))
        yield druid
        druid.open.set()
