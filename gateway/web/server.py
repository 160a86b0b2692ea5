"""The HTTP server: aiohttp's, with its protocol changed where the public internet requires it."""

# ruff: noqa: SLF001 - aiohttp offers no public way to replace its protocol

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, cast

import structlog
from aiohttp import web
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.query.zones import TZDATA_VERSION
from gateway.settings import Settings
from gateway.web.context import SERVICES
from gateway.web.malformed_requests import malformed
from gateway.web.request_body import EXPECTATION
from gateway.web.shared_socket import SharedSocket

_HEAD_END: Final = b"\r\n\r\n"
_MOST_PIECES: Final = 32
_BUFFER_BYTES: Final = 16_384
"""How much of a body aiohttp buffers before the handler reads it; at most twice as much."""
_SYSTEM_BUFFER_BYTES: Final = 32_768
"""How much the system receives before the process reads it; at most twice as much."""
_GOODBYE_SECONDS: Final = 1.0
"""How long connections are kept open at the end for the next request of their clients."""
_POLL_SECONDS: Final = 0.02

_COLLECT_AFTER: Final = (20_000, 2, 500)
"""When the garbage collector visits new objects, those that survived it once, and all. By default it visits new objects
after 700, several times per request, and all objects so often that it meets the rows of large answers: up to 40 ms."""

_log = structlog.get_logger(__name__)


class Runner(web.AppRunner):
    """Runs the gateway's application behind the gateway's protocol."""

    def __init__(self, app: web.Application, settings: Settings) -> None:
        super().__init__(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=settings.idle_timeout,
            # Requests in progress have GATEWAY_SHUTDOWN_TIMEOUT; this is only for clients that keep sending.
            shutdown_timeout=1,
        )

    async def _make_server(self) -> web.Server:
        # aiohttp has no setting for the protocol's class, so that its own server is replaced after the start.
        await super()._make_server()
        return _Server(self.app, **self._kwargs)


async def serve(
    app: web.Application,
    settings: Settings,
    *,
    listeners: Sequence[socket.socket] = (),
    stop: asyncio.Event | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve the application until SIGINT or SIGTERM, or until `stop` is set; call `ready` once it listens.

    They also end a start that waits for another service.
    `listeners` are sockets that other processes accept connections from, too. Without them, the address is that of the
    settings.
    """
    stop, loop = stop or asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = Runner(app, settings)
    try:
        if not await _set_up(runner, stop):
            return
        sites: list[web.BaseSite] = [SharedSocket(runner, listener) for listener in listeners]
        for site in sites or [web.TCPSite(runner, settings.host, settings.port)]:
            await site.start()
        # What exists now stays. Otherwise each collection visits all of it, which stalls the event loop for 100 ms.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECT_AFTER)
        _log.info("listening", host=settings.host, port=settings.port, tz_database=TZDATA_VERSION)
        ready()
        await stop.wait()
        await _say_goodbye(app, runner, min(_GOODBYE_SECONDS, settings.shutdown_timeout))
    finally:
        await runner.cleanup()


async def _set_up(runner: Runner, stop: asyncio.Event) -> bool:
    """Start the application; return false if `stop` was set before."""
    starting, stopping = asyncio.create_task(runner.setup()), asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (starting, stopping):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    return not starting.cancelled()


async def _say_goodbye(app: web.Application, runner: Runner, seconds: float) -> None:
    """Accept no connections, and announce in each response that its connection is closed.

    A client may send its next request at the moment at which an idle connection is closed, and get no response. One
    whose connection was in use lately sends it within `seconds`, and is told to use another connection.
    """
    for site in runner.sites:
        await site.stop()
    app[SERVICES].stopping.set()
    until = asyncio.get_running_loop().time() + seconds
    while runner.server and runner.server.connections and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)


class _Server(web.Server):
    def __init__(self, app: web.Application, **options: Any) -> None:  # noqa: ANN401 - aiohttp's own options
        super().__init__(app._handle, request_factory=self._create, **options)  # type: ignore[arg-type]
        self._app = app

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self._app, self, loop=self._loop, **self._kwargs)

    def _create(self, message: RawRequestMessage, *arguments: Any) -> web.Request:  # noqa: ANN401
        """Create the request without its Expect header: aiohttp would respond to it before the caller is known."""
        expectation = message.headers.get("Expect")
        if expectation is not None:
            headers = CIMultiDict(message.headers)
            del headers["Expect"]
            message = message._replace(headers=CIMultiDictProxy(headers))
        request: web.Request = self._app._make_request(message, *arguments)
        if expectation is not None:
            request[EXPECTATION] = expectation.lower()
        return request


class _Protocol(web.RequestHandler):
    def __init__(self, app: web.Application, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(
            *arguments,
            **options,
            # Bodies are never inflated, and unread bodies are never drained.
            auto_decompress=False,
            lingering_time=0,
            read_bufsize=_BUFFER_BYTES,
        )
        self._instruments = app[SERVICES].instruments

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Limit what the system receives ahead: a body may arrive before it is known whether it will be read."""
        if (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SYSTEM_BUFFER_BYTES)
        # Without this, a part of a response could wait in the transport's own buffer without any time limit.
        cast("asyncio.Transport", transport).set_write_buffer_limits(high=0)
        super().connection_made(transport)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Resume reading if it is paused. aiohttp calls this for every part of a body, and runs its parser."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Parse the data in pieces: aiohttp discards all requests of a piece that contains a malformed one."""
        received = self._request_count
        for piece in _pieces(data):
            super().data_received(piece)
            if self._request_count > received and self._is_malformed():
                break
            received = self._request_count

    def _is_malformed(self) -> bool:
        """Whether the last message is a parse error; if so, tell the handlers that read a body before it."""
        if not self._messages or isinstance(self._messages[-1][0], RawRequestMessage):
            return False
        bodies = [body for _, body in self._messages]
        if self._current_request is not None:
            bodies.append(self._current_request.content)
        for body in bodies:
            if not body.is_eof():
                body.set_exception(web.RequestPayloadError("malformed"))
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the response to a malformed request."""
        del message
        return malformed(request, status, exc, self._instruments)


def _pieces(data: bytes) -> Sequence[bytes]:
    """Cut the data behind the heads of requests, so that no piece has a part of more than two requests."""
    pieces, start = [], 0
    for _ in range(_MOST_PIECES):
        end = data.find(_HEAD_END, start) + len(_HEAD_END)
        if end < len(_HEAD_END) or end == len(data):
            break
        pieces.append(data[start:end])
        start = end
    pieces.append(data[start:])
    return pieces
