"""The connections to one broker for native queries, kept open between queries."""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Final, Literal

from yarl import URL

from gateway.druid.api.connection import Connection, Exchange, NotConnected, Outgoing
from gateway.druid.api.http import describe

CONNECT_SECONDS: Final = 1.0
"""A broker that accepts no connection in this time gives no response."""
_IDLE_SECONDS: Final = 30.0
"""A connection that has been idle for longer is not used again: a firewall may have dropped it silently."""


class ConnectionPool:
    """Opens as many connections to one URL as are needed: slots limit the queries."""

    def __init__(self, url: URL, headers: Mapping[str, str], *, tls: ssl.SSLContext | Literal[True] = True) -> None:
        self._url = url
        self._tls = tls if url.scheme == "https" else None
        # The same for every query; the length of the body follows.
        lines = _lines({"Host": url.authority, **headers})
        self._head = f"POST {url.raw_path_qs} HTTP/1.1\r\n".encode() + lines + b"Content-Length: "
        # The one that was used last is used next, so that the others become old.
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()

    @property
    def in_use(self) -> int:
        """The number of connections with a query."""
        return len(self._open) - len(self._idle)

    @property
    def idle(self) -> int:
        """The number of connections that wait for the next query."""
        return len(self._idle)

    async def send(self, query: Outgoing, *, fresh: bool = False) -> Exchange:
        """Send a query; `fresh`: through a new connection. Raises NotConnected."""
        connection = (None if fresh else self._take()) or await self._connect()
        head = b"%b%d\r\n%b\r\n" % (self._head, len(query.body), _lines(query.headers))
        return connection.start(head, query)

    async def close(self) -> None:
        """Close all connections."""
        if connections := list(self._open):
            for connection in connections:
                connection.abort()
            await asyncio.wait([connection.closed for connection in connections], timeout=CONNECT_SECONDS)

    def _take(self) -> Connection | None:
        self._close_old()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    def _close_old(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._idle and now - self._idle[0].idle_since > _IDLE_SECONDS:
            self._idle.popleft().abort()

    async def _connect(self) -> Connection:
        connection = Connection(self)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, self._url.host or "", self._url.port or 0, ssl=self._tls
                )
        except BaseException as error:
            # uvloop closes a connection that was abandoned while it was opened, but does not call connection_lost.
            self.closed(connection)
            if isinstance(error, OSError):
                raise NotConnected(describe(error)) from error
            raise
        return connection

    # What connections call.

    def opened(self, connection: Connection) -> None:
        """Count a new connection."""
        self._open.add(connection)

    def keep(self, connection: Connection) -> None:
        """Keep a connection for the next query."""
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


def _lines(headers: Mapping[str, str]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("latin-1")
