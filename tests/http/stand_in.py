"""Servers in Druid's place: one that records what it is asked and answers as told, one that breaks HTTP itself."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.catalog.model import Dataset
from tests import druid_schema
from tests.datasets import DATASETS
from tests.serving import listening

HOST = "historical-7.druid.internal:8083"
CLASS = "org.apache.druid.query.QueryTimeoutException"
TEXT = "Column [sales] in segment chat_sessions_2019 could not be read"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def error(status: int, kind: str = "Unknown exception") -> Handler:
    """Druid's own form of an error, with all that callers must not see."""
    body = {"error": kind, "errorMessage": TEXT, "errorClass": CLASS, "host": HOST, "errorCode": "general"}
    return respond(body, status=status)


def respond(body: Any, *, status: int = 200) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return handler


def respond_with(content: bytes, content_type: str = "application/json", status: int = 200) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type=content_type, status=status)

    return handler


async def never(_: web.Request) -> web.Response:
    """Run until cancelled: Druid does not notice that its client has gone, and neither does this."""
    await asyncio.Event().wait()
    raise AssertionError


def row(**metrics: Any) -> list[dict[str, Any]]:
    """A timeseries answer of one row."""
    return [{"timestamp": "2019-01-01T00:00:00.000Z", "result": metrics}]


@dataclass(slots=True)
class Asked:
    """One request that the stand-in got."""

    query: dict[str, Any]
    at: float

    @property
    def id(self) -> str:
        return str(self.query["context"]["queryId"])


@dataclass(slots=True)
class StandIn:
    """`queries` and `cancelled` (ids) in the order in which they came; `answer` may be replaced at any time, and so may
    `candidates`, the answer to which servers have the data.

    `cancelled_at` has the time of each id's first cancellation. It has the columns of `datasets`. While it is `frozen`,
    cancellations get no response and no effect.

    As in Druid, a query that runs is ended by its cancellation, and any other cancellation is forgotten.
    """

    url: str = ""
    answer: Handler = field(default_factory=lambda: respond(row(count=7)))
    candidates: Handler = field(default_factory=lambda: error(404))
    datasets: Sequence[Dataset] = tuple(DATASETS.values())
    healthy: bool = True
    frozen: bool = False
    probes: int = 0
    queries: list[Asked] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    cancelled_at: dict[str, float] = field(default_factory=dict)
    running: dict[str, asyncio.Future[web.StreamResponse]] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, *, queries: int = 0, cancelled: int = 0, seconds: float = 2) -> None:
        """Return once so many queries and cancellations came; two seconds are long enough for a few of them."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(self.queries) >= queries and len(self.cancelled) >= cancelled)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        query = await request.json()
        if druid_schema.is_about_columns(query):
            return web.json_response(druid_schema.answer(query, self.datasets))
        asked = Asked(query, asyncio.get_running_loop().time())
        async with self._changed:
            self.queries.append(asked)
            self._changed.notify_all()
        running = self.running[asked.id] = asyncio.ensure_future(self.answer(request))
        try:
            return await running
        except asyncio.CancelledError:
            return await error(500, "Query cancelled")(request)
        finally:
            del self.running[asked.id]

    async def _get_candidates(self, request: web.Request) -> web.StreamResponse:
        # The gateway asks about all time for the columns of segments, and for segments of streaming tasks.
        if request.query["intervals"].startswith("0001-"):
            return web.json_response([druid_schema.SEGMENT])
        return await self.candidates(request)

    async def _delete(self, request: web.Request) -> web.Response:
        query_id = request.match_info["id"]
        if query_id in self.running and not self.frozen:
            self.running[query_id].cancel()
        async with self._changed:
            self.cancelled.append(query_id)
            self.cancelled_at.setdefault(query_id, asyncio.get_running_loop().time())
            self._changed.notify_all()
        if self.frozen:
            await never(request)
        return web.Response(status=202)

    async def _readiness(self, _: web.Request) -> web.Response:
        self.probes += 1
        return web.Response(status=200 if self.healthy else 503)


@asynccontextmanager
async def standing_in() -> AsyncIterator[StandIn]:
    stand_in = StandIn()
    app = web.Application(client_max_size=0)
    app.router.add_post("/druid/v2", stand_in._post)
    app.router.add_get("/druid/v2/datasources/{name}/candidates", stand_in._get_candidates)
    app.router.add_delete("/druid/v2/{id}", stand_in._delete)
    app.router.add_get("/druid/broker/v1/readiness", stand_in._readiness)
    async with listening(app) as stand_in.url:
        yield stand_in


@asynccontextmanager
async def answering_bytes(answer: bytes, *, reset: bool = False) -> AsyncIterator[str]:
    """Answer reports with these very bytes, then close the connection, or break it off; the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A gateway that stops may close a connection before it has sent a request.
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            head, body = await read_request(reader)
            columns = about_columns(head, body)
            writer.write(answer if columns is None else columns)
            await writer.drain()
            if reset and columns is None:
                # asyncio has no other word for it: the connection goes, and what was not sent with it.
                writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        # asyncio leaks a connection that arrives while the server closes: let those of the gateway arrive before.
        await asyncio.sleep(0.05)


@contextmanager
def silent() -> Iterator[socket.socket]:
    """A listening socket: the system accepts connections, and nothing ever answers, as if a process were frozen."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head, await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)


def about_columns(head: bytes, body: bytes) -> bytes | None:
    """Return the answer to one of the gateway's own requests about columns; None if it is another one."""
    if b"/candidates" in head:
        found: list[Any] = [druid_schema.SEGMENT]
    elif body and druid_schema.is_about_columns(query := json.loads(body)):
        found = druid_schema.answer(query)
    else:
        return None
    content = json.dumps(found).encode()
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
