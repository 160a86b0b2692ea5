"""Sending responses to clients that read slowly or not at all, and closing connections with unread bodies."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from aiohttp import web

from gateway.web.deadlines import until

SEND_SECONDS = 30.0
SEND_BYTES_PER_SECOND = 65_536
"""A client has SEND_SECONDS to read a response, and one more second per SEND_BYTES_PER_SECOND."""
CLOSE_SECONDS: Final = 1.0
"""Seconds between the response to a request with an unread body and the end of its connection."""

_SEPARATE_HEAD_BYTES: Final = 65_536

_log = structlog.get_logger(__name__)


async def send(request: web.Request, response: web.StreamResponse) -> bool:
    """Send the response; return whether the client read it in time. The connection of one that did not is aborted.

    A response stays in memory until it is sent, so the time for it is limited.
    """
    size = response.content_length or 0
    transport = request.transport
    if transport is None:
        return True
    deadline = asyncio.get_running_loop().time() + SEND_SECONDS + size / SEND_BYTES_PER_SECOND
    try:
        await until(deadline, _write(request, response, size))
    except (TimeoutError, ConnectionError, asyncio.CancelledError) as error:
        _log.info("response_not_read", reason=type(error).__name__, size=size)
        transport.abort()
        if isinstance(error, asyncio.CancelledError):
            raise
        return False
    finally:
        if isinstance(response, web.Response):
            # aiohttp refers to the last response of a connection until the next request arrives.
            response.body = None
    return True


async def _write(request: web.Request, response: web.StreamResponse, size: int) -> None:
    writer = await response.prepare(request)
    if writer is not None and size > _SEPARATE_HEAD_BYTES:
        # Otherwise aiohttp joins head and body, which copies the body.
        writer.send_headers()
    await response.write_eof()


def drop_body(request: web.Request) -> None:
    """Free the part of the body that was not read, and receive no more of it.

    The rest of a request (waiting for its turn, sending the response) is outside the budget for bodies.
    """
    with suppress(Exception):  # A body whose transfer failed raises what it failed with.
        request.content.read_nowait()
    if not request.content.is_eof() and request.transport is not None:
        with suppress(RuntimeError, NotImplementedError):
            request.transport.pause_reading()


async def close_unread(request: web.Request) -> None:
    """End the connection if the request's body was not read to its end. What the client still sends is never read.

    Closing at once would make the client's system discard the response while the client is still sending.
    """
    transport = request.transport
    if request.content.is_eof() or transport is None or transport.is_closing():
        return
    with suppress(RuntimeError, NotImplementedError):
        transport.write_eof()
    await asyncio.sleep(CLOSE_SECONDS)
