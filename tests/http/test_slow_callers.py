"""Clients that send or read slowly: they occupy a connection for a bounded time, and little memory."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from gateway.web import slow_clients
from tests.http.asking import COUNT, Client, assert_problem
from tests.http.conftest import Process, Start, StartProcess
from tests.http.stand_in import StandIn, respond_with
from tests.links import memory_budget
from tests.serving import Answer, D, P, T

BY_TEAM = COUNT | {"group_by": ["team_id"]}
MEBIBYTE = 1 << 20


def rows(size: int) -> bytes:
    """Return a response to BY_TEAM of about this many bytes."""
    line = json.dumps(["0" * 80, 7]).encode()
    return b"[" + b",".join([line] * (size // len(line))) + b"]"


def head(client: Client, length: int, organization: str = D) -> bytes:
    return (
        f"POST {client.gateway.path(organization)} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Authorization: Token {client.gateway.tokens[organization]}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def address(client: Client) -> tuple[str, int]:
    host, port = client.gateway.url.removeprefix("http://").split(":")
    return host, int(port)


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(20):
        with suppress(ConnectionError):
            return await reader.read()
    return b""


async def test_a_header_that_arrives_byte_by_byte_closes_the_connection(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, idle_timeout=0.5)
    reader, writer = await asyncio.open_connection(*address(client))

    async def dribble() -> None:
        with suppress(ConnectionError):
            for byte in head(client, 2):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    assert await until_closed(reader) == b""
    dribbling.cancel()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_an_idle_connection_is_closed(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, idle_timeout=0.2)
    reader, writer = await asyncio.open_connection(*address(client))
    assert await until_closed(reader) == b""
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_arrives_byte_by_byte_is_408(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, body_timeout=0.3)

    async def dribble() -> AsyncIterator[bytes]:
        for byte in json.dumps(COUNT).encode():
            yield bytes([byte])
            await asyncio.sleep(0.05)

    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    async with asyncio.timeout(20):
        answer = await client.send("POST", client.gateway.path(), headers=headers, data=dribble())
    assert_problem(answer, 408, "request_timeout")
    assert druid_stand_in.queries == []


async def test_a_body_with_malformed_chunks_is_refused(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, body_timeout=0.3)
    reader, writer = await asyncio.open_connection(*address(client))
    chunked = head(client, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    writer.write(chunked + b"2\r\n{}\r\n")
    await asyncio.sleep(0.1)
    writer.write(b"no size\r\n")
    async with asyncio.timeout(20):
        # Also if the malformed chunk arrives while the handler waits for it.
        assert (await reader.readline()).split()[1] in {b"408", b"400"}
    writer.close()
    await writer.wait_closed()
    assert druid_stand_in.queries == []


async def test_a_response_that_is_not_read_is_dropped(
    start: Start, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "SEND_SECONDS", 0.5)
    monkeypatch.setattr(slow_clients, "SEND_BYTES_PER_SECOND", 1 << 30)
    druid_stand_in.answer = respond_with(rows(8 * MEBIBYTE))
    client = await start(druid_stand_in.url)
    memory = memory_budget(client.gateway.app)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(address(client))
        body = json.dumps(BY_TEAM).encode()
        slow.sendall(head(client, len(body)) + body)
        async with asyncio.timeout(20):
            while not 8 * MEBIBYTE < memory.used < 16 * MEBIBYTE:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0.01)
            while memory.used:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    # A client that reads gets the complete response.
    assert len((await client.post(BY_TEAM)).data) == len(json.loads(rows(8 * MEBIBYTE)))
    assert memory.used == 0


def resident(process: Process, name: str = "VmRSS") -> int:
    """Return the bytes that a process has in memory; VmHWM is its maximum so far."""
    for line in Path(f"/proc/{process.process.pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(line)


BUDGET = {"answer_memory": 96 * MEBIBYTE, "max_answer_bytes": 16 * MEBIBYTE}


async def test_a_thousand_slow_readers_take_a_bounded_amount_of_memory(
    start_process: StartProcess, druid_stand_in: StandIn
) -> None:
    druid_stand_in.answer = respond_with(rows(2 * MEBIBYTE))
    limits = {"requests_per_minute": 100_000, "concurrent_reports": 1000, "druid_queue": 2000}
    async with start_process(druid_stand_in.url, **BUDGET, **limits) as process:
        before = resident(process)
        async with AsyncExitStack() as stack:
            for number in range(1000):
                organization = (D, P, T)[number % 3]
                slow = stack.enter_context(socket.socket())
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.setblocking(False)  # noqa: FBT003 - it has no other form
                await asyncio.get_running_loop().sock_connect(slow, address(process.client))
                body = json.dumps(BY_TEAM | {"limit": 1 + number}).encode()
                await asyncio.get_running_loop().sock_sendall(
                    slow, head(process.client, len(body), organization) + body
                )
            await druid_stand_in.wait_for(queries=900, seconds=60)
            answer = await settled(process.client)
            assert answer.status in {200, 429}
            # Each client has two megabytes or an error to read, and reads nothing.
            most = resident(process, "VmHWM") - before
        print(f"{most // MEBIBYTE} MiB more than before")
        assert most < 3 * BUDGET["answer_memory"]
        # Their connections are closed, and their memory is free.
        async with asyncio.timeout(20):
            while (await process.client.post(BY_TEAM)).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def settled(client: Client) -> Answer:
    """Return a response that comes after all earlier ones."""
    async with asyncio.timeout(60):
        return await client.post(BY_TEAM)


async def test_concurrent_largest_responses_take_a_bounded_amount_of_memory(
    start_process: StartProcess, druid_stand_in: StandIn
) -> None:
    largest = rows(8 * MEBIBYTE)
    druid_stand_in.answer = respond_with(largest)
    async with start_process(druid_stand_in.url, **BUDGET) as process:
        before = resident(process)
        asked = [
            process.client.post(BY_TEAM | {"limit": 100_000 - number}, organization=(D, P, T)[number % 3])
            for number in range(24)
        ]
        answers = await asyncio.gather(*asked)
        most = resident(process, "VmHWM") - before
    statuses = [answer.status for answer in answers]
    for answer in answers:
        if answer.status == 200:
            assert len(answer.data) == len(json.loads(largest))
        else:
            assert_problem(answer, 429, "too_many_requests")
            assert answer.headers["retry-after"]
    assert 200 in statuses
    print(f"{most // MEBIBYTE} MiB more than before")
    assert most < 3 * BUDGET["answer_memory"]


async def test_a_disconnect_within_the_response_is_no_error(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = respond_with(rows(4 * MEBIBYTE))
    async with client.session.post(
        client.gateway.path(), json=BY_TEAM, headers={"Authorization": f"Token {client.gateway.tokens[D]}"}
    ) as response:
        assert response.status == 200
        assert response.connection is not None
        response.connection.transport.abort()  # type: ignore[union-attr]
    assert (await client.post()).status == 502, "the stand-in's rows are no answer to this one, and all else goes on"
    assert memory_budget(client.gateway.app).used == 0
