"""An HTTP connection for native queries, with little work per query.

aiohttp's client took a quarter of a small report's CPU time (docs/performance.md). A query needs one POST to one URL:
this module sends it as one write, and httptools parses the response. All other requests to Druid use aiohttp.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, cast

import httptools

from gateway.druid.api.http import dropped
from gateway.errors import GatewayError

# Druid's response context is a header, by default of up to 7 kB.
_LONGEST_HEAD: Final = 1 << 17
_QUERY_ID: Final = b"x-druid-query-id"


class ConnectionFailed(Exception):
    """The text says what happened, without a URL and without credentials."""


class NotConnected(ConnectionFailed):
    """No connection could be opened, so that nothing was sent."""


class NoResponse(ConnectionFailed):
    """The connection was closed before the head of a response had arrived."""


class BrokenResponse(ConnectionFailed):
    """The connection was closed in the middle of the response, or it is not HTTP, or answers another query."""


@dataclass(slots=True)
class Response:
    """A response of any status. The names of headers are in lower case."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class Outgoing(NamedTuple):
    """A query to send, with its id in Druid.

    `account` is called with the size of the response's body whenever that has grown. `deadline` is in the event loop's
    time.
    """

    body: bytes
    headers: Mapping[str, str]
    query_id: str
    account: Callable[[int], None]
    deadline: float


class Exchange:
    """One query and its response.

    `begun` has a result once the head of the response arrived, or can no longer arrive. `response` has the complete
    response, or raises NoResponse, BrokenResponse, TimeoutError after the deadline, or what `account` raised.
    """

    __slots__ = ("_account", "_connection", "_deadline", "_query_id", "begun", "received", "response")

    def __init__(self, connection: "Connection", query: Outgoing) -> None:
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.response: asyncio.Future[Response] = loop.create_future()
        self.received = Response()
        self._query_id = query.query_id.encode()
        self._account = query.account
        self._connection = connection
        self._deadline = loop.call_at(query.deadline, self._expire)

    def close(self) -> None:
        """Close the connection unless the response is complete. For a response that is not wanted any more."""
        self._connection.abandon(self)

    def is_answered(self) -> bool:
        """Whether the response is to this query. Druid gives the query's id with rows, and a proxy may remove it."""
        return self.received.headers.get(_QUERY_ID, self._query_id) == self._query_id

    def begin(self) -> None:
        """Note that the head of the response has arrived."""
        if not self.begun.done():
            self.begun.set_result(None)

    def account(self) -> None:
        """Account for the memory of the body; a response that there is no memory for is not read to its end."""
        if self.response.done():
            # No request waits for it any more: what still arrives is neither kept nor counted.
            self.received.body.clear()
            return
        try:
            self._account(len(self.received.body))
        except GatewayError as error:
            self.end(error)
            self.close()

    def end(self, error: Exception | None = None) -> None:
        """Complete the response, or fail."""
        self._deadline.cancel()
        self.begin()
        # It is done after the deadline, or if the task that awaited it was cancelled.
        if self.response.done():
            return
        if error is None:
            self.response.set_result(self.received)
        else:
            self.response.set_exception(error)

    def _expire(self) -> None:
        # The connection stays open: the cancellation in Druid continues until the response begins.
        if not self.response.done():
            self.response.set_exception(TimeoutError())


class ConnectionPool(Protocol):
    """What a connection needs of the pool that it belongs to."""

    def opened(self, connection: "Connection") -> None:
        """Count a new connection."""

    def keep(self, connection: "Connection") -> None:
        """Keep a connection for the next query."""

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection. It has at most one exchange at a time."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._exchange: Exchange | None = None
        # It refers to this object; a closed connection drops it.
        self._parser: Any = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._head_complete = self._until_closed = self._complete = self._surplus = False
        self.idle_since = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._pool.opened(self)

    @property
    def is_open(self) -> bool:
        """Whether the connection can be used."""
        return not self._transport.is_closing()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def start(self, head: bytes, query: Outgoing) -> Exchange:
        """Send a query, with this head of the request. The connection must not have one at the moment."""
        self._exchange = exchange = Exchange(self, query)
        self._head_bytes, self._head_complete = 0, False
        # One write: one packet and one system call.
        self._transport.write(head + query.body)
        return exchange

    def abandon(self, exchange: Exchange) -> None:
        """Close the connection if it still has this exchange."""
        if self._exchange is exchange:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Nothing was requested.
            self._transport.abort()
            return
        before = len(exchange.received.body)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(BrokenResponse("the response is not valid HTTP"))
            return
        self._head_bytes += 0 if self._head_complete else len(data)
        if self._head_bytes > _LONGEST_HEAD:
            self._fail(BrokenResponse("the response is not valid HTTP"))
        elif self._exchange is exchange and len(exchange.received.body) > before:
            exchange.account()
        elif self._complete:
            # Only now: the rest of the data may be the beginning of something that was not requested, whose end would
            # be taken for the response to the next query.
            self._complete = False
            if self._keep and self.is_open and not self._surplus:
                self._pool.keep(self)
            else:
                self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._parser = None
        self._pool.closed(self)
        self.closed.set_result(None)
        if not self._head_complete:
            tls = self._transport.get_extra_info("ssl_object") is not None
            self._fail(NoResponse(dropped(error, tls=tls)))
        elif self._until_closed and error is None:
            self._finish()
        else:
            self._fail(BrokenResponse("the connection was closed in the middle of the response"))

    def _fail(self, error: ConnectionFailed) -> None:
        exchange, self._exchange = self._exchange, None
        self._transport.abort()
        if exchange is not None:
            exchange.end(error)

    def _finish(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.account()
            exchange.end()

    # What httptools calls.

    def on_message_begin(self) -> None:
        self._surplus = self._exchange is None

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._exchange is not None and not self._head_complete:
            self._exchange.received.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        exchange, status = self._exchange, self._parser.get_status_code()
        if exchange is None:
            return
        if status < 200:
            exchange.received.headers.clear()
            return
        if not exchange.is_answered():
            # For example of a proxy that sent a response late, after it had already sent an error in its place.
            self._fail(BrokenResponse("the response is to another query"))
            return
        exchange.received.status = status
        self._head_complete = True
        headers = exchange.received.headers
        self._until_closed = (
            status not in (204, 304) and b"content-length" not in headers and b"transfer-encoding" not in headers
        )
        self._keep = self._parser.should_keep_alive() and not self._until_closed
        exchange.begin()

    def on_body(self, chunk: bytes) -> None:
        if self._exchange is not None:
            self._exchange.received.body += chunk

    def on_message_complete(self) -> None:
        if not self._head_complete:
            # 100 Continue and the like: the response follows.
            return
        self._complete = True
        self._finish()
