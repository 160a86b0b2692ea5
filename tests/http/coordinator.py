"""A stand-in for Druid's coordinator, and broker responses that list uncovered intervals."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.http.stand_in import Handler, row

SEGMENT = {
    "interval": "2019-01-01T00:00:00.000Z/2019-02-01T00:00:00.000Z",
    "overshadowed": False,
    "replicationFactor": 1,
    "version": "1",
    "shardSpec": {"type": "range"},
}
NEVER_HAD_DATA = ["2018-01-01T00:00:00.000Z/2019-01-01T00:00:00.000Z"]
HAS_DATA = ["2019-01-01T00:00:00.000Z/2019-01-01T05:00:00.000Z"]


@asynccontextmanager
async def coordinator(segments: list[Any] | None, confirm: Handler | None = None) -> AsyncIterator[str]:
    """A coordinator that knows these segments, or fails; `confirm` answers what is asked before a hole is believed."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(segments, status=500 if segments is None else 200)

    app = web.Application()
    app.router.add_get("/druid/coordinator/v1/metadata/segments", answer)
    app.router.add_post("/druid/coordinator/v1/metadata/datasources/chat_sessions/segments", confirm or answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


def uncovered(intervals: list[str], *, overflowed: bool = False) -> Handler:
    context = {"uncoveredIntervals": intervals, "uncoveredIntervalsOverflowed": overflowed}

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(row(count=7), headers={"X-Druid-Response-Context": json.dumps(context)})

    return handler
