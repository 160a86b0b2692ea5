"""A site for a listening socket that several processes share."""

import asyncio
import errno
import socket
from typing import Final

import structlog
from aiohttp import web

_PAUSE_SECONDS: Final = 1.0
"""How long no connection is accepted when the process has no file descriptor left."""

_log = structlog.get_logger(__name__)


class SharedSocket(web.BaseSite):
    """Accepts one connection whenever the event loop is free, so that busy processes leave connections to idle ones.

    asyncio's own server accepts all connections that wait.
    """

    def __init__(self, runner: web.BaseRunner, listener: socket.socket) -> None:
        super().__init__(runner)
        self._web_server = runner.server
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()

    @property
    def name(self) -> str:
        """The address of the socket."""
        host, port, *_ = self._listener.getsockname()
        return f"http://{host}:{port}"

    async def start(self) -> None:
        """Begin to accept connections."""
        await super().start()
        self._listener.settimeout(0)
        self._loop.add_reader(self._listener, self._accept)

    async def stop(self) -> None:
        """Stop accepting connections. Those that wait are left to the other processes."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        await super().stop()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                _log.error("connection_not_accepted", error=error.strerror)
                self._loop.remove_reader(self._listener)
                self._loop.call_later(_PAUSE_SECONDS, self._resume)
            # Otherwise another process was faster, or the client has left.
            return
        connection.settimeout(0)
        assert self._web_server is not None  # noqa: S101 - BaseSite requires it
        opening = asyncio.create_task(self._loop.connect_accepted_socket(self._web_server, connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)
