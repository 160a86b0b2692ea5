"""A server between the gateway and the real broker, for what no proxy can do: it gives other answers than Druid did."""

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
"""Makes another answer to a query out of the body of Druid's."""


@dataclass(slots=True)
class Between:
    """Everything goes through; while answers are spoiled, something else comes back from queries."""

    url: str
    _broker: str
    _session: aiohttp.ClientSession
    _spoil: Spoil | None = None

    @contextmanager
    def spoiling(self, spoil: Spoil) -> Iterator[None]:
        """Spoil every answer to a query until the end of the block."""
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
    """Stand before a broker's URL, on a port of one's own."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        between = Between("", broker, session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", between._pass_on)
        async with listening(app) as between.url:
            yield between


def instead(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Spoil:
    """Answer with what this handler answers, whatever Druid did."""

    async def spoil(request: web.Request, _: bytes) -> web.StreamResponse:
        return await handler(request)

    return spoil


async def cut_with_a_clean_end(_: web.Request, body: bytes) -> web.StreamResponse:
    """Half of Druid's rows in HTTP that ends well: so does Druid itself when it fails after the first row."""
    return web.Response(body=body[: len(body) // 2], content_type="application/json")


async def reset_in_mid_body(request: web.Request, body: bytes) -> web.StreamResponse:
    """Half of what is promised, then TCP's reset."""
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if (transport := request.transport) is not None:
        # To linger for no time at all: https://man7.org/linux/man-pages/man7/socket.7.html
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return response
