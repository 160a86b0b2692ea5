"""A proxy between the gateway and the real broker that can replace Druid's responses."""

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from tests.serving import listening

_CONTEXT = "X-Druid-Response-Context"
Spoil = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
"""Creates another response from the body of Druid's response."""


@dataclass(slots=True)
class Between:
    """Forwards everything. While `spoiled`, queries get other responses."""

    url: str
    _broker: str
    _session: aiohttp.ClientSession
    _spoil: Spoil | None = None

    @contextmanager
    def spoiling(self, spoil: Spoil) -> Iterator[None]:
        """Replace every response to a query until the end of the block."""
        self._spoil = spoil
        try:
            yield
        finally:
            self._spoil = None

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        url, body = f"{self._broker}{request.rel_url}", await request.read()
        headers = {"Content-Type": "application/json"}
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            body = await answer.read()
        if self._spoil is not None and request.method == "POST":
            return await self._spoil(request, body)
        context = {_CONTEXT: answer.headers[_CONTEXT]} if _CONTEXT in answer.headers else {}
        return web.Response(status=answer.status, body=body, headers=context, content_type=answer.content_type)


@asynccontextmanager
async def before(broker: str) -> AsyncIterator[Between]:
    """Listen on a new port in front of a broker's URL."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        between = Between("", broker, session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", between._pass_on)
        async with listening(app) as between.url:
            yield between


def instead(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Spoil:
    """Respond with the response of this handler, regardless of Druid's."""

    async def spoil(request: web.Request, _: bytes) -> web.StreamResponse:
        return await handler(request)

    return spoil


async def cut_with_a_clean_end(_: web.Request, body: bytes) -> web.StreamResponse:
    """Half of Druid's rows in well-formed HTTP, as when Druid fails after the first row."""
    return web.Response(body=body[: len(body) // 2], content_type="application/json")


async def reset_in_mid_body(request: web.Request, body: bytes) -> web.StreamResponse:
    """Half of the announced body, then a TCP reset."""
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if (transport := request.transport) is not None:
        # Close without lingering: https://man7.org/linux/man-pages/man7/socket.7.html
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return response
