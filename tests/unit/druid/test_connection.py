"""The connections for native queries, with a server that sends bytes of every kind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from yarl import URL

from gateway.druid.api.connection import BrokenResponse, ConnectionFailed, NoResponse, NotConnected, Outgoing, Response
from gateway.druid.api.connection_pool import ConnectionPool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


class Server:
    """Answers the n-th request with the n-th bytes, and counts connections."""

    def __init__(self, *answers: bytes, close: bool = False) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""
        self._close = close

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await reader.readuntil(b"{}"))
                writer.write(self.answers.pop(0))
                await writer.drain()
                if self._close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[ConnectionPool]:
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    pool = ConnectionPool(URL(f"http://127.0.0.1:{port}/druid/v2"), {"Authorization": "Basic x"})
    async with listening:
        try:
            yield pool
        finally:
            await pool.close()


async def ask(pool: ConnectionPool, *, query_id: str = "q", seconds: float = 5.0) -> Response:
    deadline = asyncio.get_running_loop().time() + seconds
    exchange = await pool.send(Outgoing(b"{}", {"traceparent": "00-1"}, query_id, lambda _: None, deadline))
    return await exchange.response


async def test_a_query_is_one_post_and_its_connection_serves_the_next_one() -> None:
    async with connected(server := Server(OK, OK)) as pool:
        for _ in range(2):
            response = await ask(pool)
            assert (response.status, bytes(response.body)) == (200, b"[]")
        assert (server.connections, pool.in_use, pool.idle) == (1, 0, 1)
    head = server.requests[0].decode()
    assert head.startswith("POST /druid/v2 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert "Authorization: Basic x\r\nContent-Length: 2\r\ntraceparent: 00-1\r\n\r\n{}" in head
    assert (pool.in_use, pool.idle) == (0, 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\nX-Trailer: a\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]",
    ],
)
async def test_every_framing_of_a_response_is_read(answer: bytes) -> None:
    async with connected(Server(answer, OK)) as pool:
        response = await ask(pool)
        assert (response.status, bytes(response.body)) == (200, b"[]")
        assert (await ask(pool)).body == b"[]"


async def test_a_response_without_a_length_ends_with_its_connection() -> None:
    async with connected(Server(b"HTTP/1.1 200 OK\r\n\r\n[]", close=True)) as pool:
        assert (await ask(pool)).body == b"[]"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", NoResponse),
        (b"HTTP/1.1 200 OK\r\nContent", NoResponse),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[]", BrokenResponse),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n", BrokenResponse),
        (b"SSH-2.0-OpenSSH_9.6\r\n", BrokenResponse),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, BrokenResponse),
    ],
)
async def test_an_incomplete_response_is_an_error(answer: bytes, error: type[ConnectionFailed]) -> None:
    async with connected(Server(answer, close=True)) as pool:
        with pytest.raises(error):
            await ask(pool)
        assert pool.idle == 0


async def test_a_second_response_to_one_query_is_never_taken_for_the_next_query() -> None:
    wrong = OK.replace(b"[]", b"{}")
    async with connected(server := Server(OK + wrong, OK)) as pool:
        assert (await ask(pool)).body == b"[]"
        await asyncio.sleep(0.01)
        assert (await ask(pool)).body == b"[]"
        assert server.connections == 2


@pytest.mark.parametrize("length", range(1, len(OK)))
async def test_the_beginning_of_a_second_response_is_never_continued_by_the_next_one(length: int) -> None:
    """Otherwise the next query, maybe of another tenant, would get the response to this one."""
    surplus = OK.replace(b"[]", b"{}")
    async with connected(server := Server(OK + surplus[:length], surplus[length:] + OK, OK)) as pool:
        assert (await ask(pool)).body == b"[]"
        server.answers = [OK]
        assert (await ask(pool)).body == b"[]"
        assert server.connections == 2


def answer_to(query_id: str) -> bytes:
    return OK.replace(b"Content-Length", f"X-Druid-Query-Id: {query_id}\r\nContent-Length".encode())


async def test_a_response_to_an_earlier_query_that_comes_late_is_never_taken_for_the_next_one() -> None:
    async with connected(server := Server(OK, answer_to("first"), answer_to("third"))) as pool:
        # The first is answered in place of Druid, and Druid's own response comes only after the second was sent.
        await ask(pool, query_id="first")
        with pytest.raises(BrokenResponse, match="another query"):
            await ask(pool, query_id="second")
        assert (await ask(pool, query_id="third")).body == b"[]"
        assert server.connections == 2


def test_a_connection_that_is_abandoned_while_it_is_opened_is_forgotten() -> None:
    async def abandon(passes: int) -> int:
        async with connected(Server(OK)) as pool:
            task = asyncio.create_task(ask(pool))
            for _ in range(passes):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.sleep(0.05)
            return pool.in_use

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert [runner.run(abandon(passes)) for passes in range(8)] == [0] * 8


async def test_a_late_response_is_never_taken_for_the_next_query() -> None:
    async with connected(server := Server(b"", OK)) as pool:
        with pytest.raises(TimeoutError):
            await ask(pool, seconds=0.05)
        assert pool.in_use == 1
        assert (await ask(pool)).body == b"[]"
        assert server.connections == 2


async def test_what_arrives_for_an_abandoned_query_is_neither_kept_nor_counted() -> None:
    """Its connection stays open until Druid has cancelled it, and Druid may send much until then."""
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 60010\r\n\r\n" + b"x" * 10, b"x" * 60_000)
    counted: list[int] = []
    async with connected(server) as pool:
        deadline = asyncio.get_running_loop().time() + 5
        exchange = await pool.send(Outgoing(b"{}", {}, "q", counted.append, deadline))
        await asyncio.wait_for(exchange.begun, 5)
        exchange.response.cancel()
        # The rest of the response is the server's answer to a second request.
        exchange._connection._transport.write(b"{}")
        async with asyncio.timeout(5):
            while pool.in_use:
                assert len(exchange.received.body) <= 10
                await asyncio.sleep(0.001)
    assert not exchange.received.body
    assert counted == [10]


async def test_a_server_that_does_not_listen_is_named_by_no_error() -> None:
    pool = ConnectionPool(URL("http://127.0.0.1:1/druid/v2"), {})
    with pytest.raises(NotConnected, match="connection refused"):
        await ask(pool)
