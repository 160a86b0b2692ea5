"""Requests as bytes over a socket, for what no HTTP client sends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.http.asking import Client
from tests.serving import Answer, D


def head(client: Client, *fields: str, path: str = "", token: str | None = None) -> bytes:
    """The head of a POST for a report, with the token of D unless another one (or none: "") is given."""
    token = client.gateway.tokens[D] if token is None else token
    lines = [f"POST {path or client.gateway.path()} HTTP/1.1", "Host: gateway.test"]
    lines += [f"Authorization: Token {token}"] if token else []
    return "\r\n".join([*lines, *fields, "", ""]).encode()


def with_length(client: Client, body: bytes, *fields: str, **options: str) -> bytes:
    return head(client, f"Content-Length: {len(body)}", *fields, **options) + body


@asynccontextmanager
async def connected(client: Client) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = client.gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one response with a Content-Length, or an interim one without a body."""
    async with asyncio.timeout(20):
        status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(fields.get("content-length", 0)))
    return Answer(int(status_line.split()[1]), fields, body)


async def ask(client: Client, request: bytes) -> tuple[Answer, bool]:
    """Send the bytes; return the first response, and whether the gateway closed the connection behind it."""
    async with connected(client) as (reader, writer):
        with suppress(ConnectionError):
            writer.write(request)
        answer = await read_answer(reader)
        try:
            async with asyncio.timeout(0.3):
                return answer, await reader.read(1) == b""
        except TimeoutError:
            return answer, False


def encoded(body: object) -> bytes:
    return json.dumps(body).encode()
