"""Receiving request bodies: only from authenticated callers, within a memory budget, and within a time limit."""

import asyncio
from types import TracebackType

from aiohttp import HttpVersion11, StreamReader, web

from gateway.errors import BodyTimeout, MemoryExhausted
from gateway.web.deadlines import until

EXPECTATION: web.RequestKey[str] = web.RequestKey("expectation", str)
"""The value of the request's Expect header, in lower case."""


class BodyBudget:
    """Memory for the bodies that are being received and parsed: `most` bytes, at most half of it per organization."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of_organizations: dict[str, int] = {}
        self.reserved = 0
        """Bytes that are reserved at the moment."""

    def reserve(self, organization_id: str, size: int) -> "_Reservation":
        """Return a context manager that reserves memory for one body."""
        return _Reservation(self, organization_id, size)

    def add(self, organization_id: str, size: int) -> None:
        """Reserve memory; raises MemoryExhausted if the budget does not allow it."""
        of_organization = self._of_organizations.get(organization_id, 0) + size
        if self.reserved + size > self._most or of_organization > self._most // 2:
            raise MemoryExhausted("Too many request bodies are in transit. Retry later.", headers={"Retry-After": "1"})
        self.reserved += size
        self._of_organizations[organization_id] = of_organization

    def remove(self, organization_id: str, size: int) -> None:
        """Release reserved memory."""
        self.reserved -= size
        # Links reserve nothing, so that the organization may be gone.
        left = self._of_organizations.pop(organization_id, 0) - size
        if left > 0:
            self._of_organizations[organization_id] = left


class _Reservation:
    """Memory of the budget, while the context manager is entered."""

    __slots__ = ("_budget", "_organization_id", "_size")

    def __init__(self, budget: BodyBudget, organization_id: str, size: int) -> None:
        self._budget = budget
        self._organization_id = organization_id
        self._size = size

    def __enter__(self) -> None:
        self._budget.add(self._organization_id, self._size)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.remove(self._organization_id, self._size)


def expected_size(request: web.Request, limit: int) -> int:
    """Return how many bytes the body may need; raises HTTPRequestEntityTooLarge if it announces more than the limit."""
    size = request.content_length
    if size is None:
        return limit if request.body_exists else 0
    if size > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
    return size


async def receive(request: web.Request, limit: int, deadline: float) -> bytes:
    """Return the body, having asked for it if the caller waits for 100 Continue.

    `deadline` is a time of the event loop. Raises BodyTimeout, HTTPRequestEntityTooLarge, or HTTPBadRequest for a body
    whose chunks are malformed.
    """
    if EXPECTATION in request and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # aiohttp takes any output for the beginning of the response.
        request.writer.output_size = 0
    try:
        return await until(deadline, _read(request.content, limit))
    except TimeoutError as error:
        raise BodyTimeout("The body did not arrive in time.") from error
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest from error


async def _read(content: StreamReader, limit: int) -> bytes:
    body = bytearray()
    while not content.at_eof():
        body += await content.readany()
        if len(body) > limit:
            raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=len(body))
        if not content.is_eof():
            # A body of a hundred thousand chunks would be read without a pause.
            await asyncio.sleep(0)
    return bytes(body)
