"""Receiving request bodies: only from authenticated callers, within a memory budget, and within a time limit."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import HttpVersion11, StreamReader, web

from gateway.errors import BodyTimeout, MemoryExhausted

EXPECTATION: web.RequestKey[str] = web.RequestKey("expectation", str)
"""The value of the request's Expect header, in lower case."""


class BodyBudget:
    """Memory for the bodies that are being received and parsed: `most` bytes, at most half of it per organization."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._reserved: Counter[str] = Counter()

    @property
    def reserved(self) -> int:
        """Bytes that are reserved at the moment."""
        return self._reserved.total()

    @contextmanager
    def reserve(self, organization_id: str, size: int) -> Iterator[None]:
        """Reserve memory for one body; raises MemoryExhausted if the budget does not allow it."""
        if self.reserved + size > self._most or self._reserved[organization_id] + size > self._most // 2:
            raise MemoryExhausted("Too many request bodies are in transit. Retry later.", headers={"Retry-After": "1"})
        self._reserved[organization_id] += size
        try:
            yield
        finally:
            self._reserved[organization_id] -= size
            if not self._reserved[organization_id]:
                del self._reserved[organization_id]


def expected_size(request: web.Request, limit: int) -> int:
    """Return how many bytes the body may need; raises HTTPRequestEntityTooLarge if it announces more than the limit."""
    size = request.content_length
    if size is None:
        return limit if request.body_exists else 0
    if size > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
    return size


async def receive(request: web.Request, limit: int, until: float) -> bytes:
    """Return the body, having asked for it if the caller waits for 100 Continue.

    `until` is a time of the event loop. Raises BodyTimeout, HTTPRequestEntityTooLarge, or HTTPBadRequest for a body
    whose chunks are malformed.
    """
    if EXPECTATION in request and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # aiohttp takes any output for the beginning of the response.
        request.writer.output_size = 0
    try:
        if request.content.is_eof():
            # The usual case: head and body arrived together, so that no timer is needed.
            return await _read(request.content, limit)
        async with asyncio.timeout_at(until):
            return await _read(request.content, limit)
    except TimeoutError as error:
        raise BodyTimeout("The body did not arrive in time.") from error
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest from error


async def _read(content: StreamReader, limit: int) -> bytes:
    body = bytearray()
    while chunk := await content.readany():
        body += chunk
        if len(body) > limit:
            raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=len(body))
        if not content.is_eof():
            # A body of a hundred thousand chunks would be read without a pause.
            await asyncio.sleep(0)
    return bytes(body)
