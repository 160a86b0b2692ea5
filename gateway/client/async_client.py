"""The client for programs with an event loop. If the task of a request is cancelled, the gateway cancels its query."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from yarl import URL

from gateway.client import operations
from gateway.client.answers import Answer, Cell, Organization
from gateway.client.connection import Gateway, Scheme
from gateway.client.exchange import NO_TIME, NoResponse, Operation, Outcome, Request, Response
from gateway.client.operations import DataSetPath
from gateway.client.paging import Page, first_page
from gateway.client.reports import Fixed, Report
from gateway.client.retries import DEFAULT_LIMITS, Attempts, Limits
from gateway.client.stored import StoredResponses
from gateway.client.tables import Table

T = TypeVar("T")


class AsyncClient:
    """An async context manager; tasks of one event loop can share it. Every method raises ReportingError.

    `scheme` is "Bearer" for an OAuth2 access token; `ssl_context` is for a private CA.
    """

    _session: aiohttp.ClientSession

    def __init__(
        self,
        url: str,
        token: str,
        *,
        scheme: Scheme = "Token",
        limits: Limits = DEFAULT_LIMITS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._gateway = Gateway(url, token, scheme)
        self._limits = limits
        self._stored = StoredResponses(limits.stored_bytes)
        self._ssl = ssl_context or True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._gateway.url!r})"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._ssl))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def organizations(self) -> list[Organization]:
        """List the organizations, and their data sets, that the credential can use."""
        return await self.run(operations.organizations())

    def data_set(self, organization_id: str, name: str) -> "AsyncDataSet":
        return AsyncDataSet(self, DataSetPath(organization_id, name))

    async def run(self, operation: Operation[T]) -> T:
        """Send a request, if necessary several times, and return what its response means."""
        request = operation.request
        attempts = Attempts(self._limits)
        while True:
            stored = self._stored.get(request)
            outcome = self._stored.resolve(request, stored, await self._send(request, stored, attempts))
            pause = attempts.pause_after(outcome)
            if pause is None:
                return operation.result(outcome, self._gateway.url)
            await asyncio.sleep(pause)

    async def pages(self, operation: Operation[T]) -> AsyncIterator[T]:
        """Run an operation, and go on with the links to further pages."""
        following: Operation[Page[T]] | None = first_page(operation)
        while following is not None:
            page = await self.run(following)
            yield page.content
            following = page.following

    async def _send(self, request: Request, stored: Response | None, attempts: Attempts) -> Outcome:
        seconds = attempts.seconds_left
        if not seconds:
            # Both libraries give 0 another meaning than that of no time.
            return NO_TIME
        try:
            async with self._session.request(
                request.method,
                URL(self._gateway.url_of(request), encoded=True),
                data=request.body,
                headers=self._gateway.headers(request, stored, seconds),
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Only its name: some of these errors have the request's headers, with the credential.
            return NoResponse(type(error).__name__)
        return Response(response.status, {name.lower(): value for name, value in response.headers.items()}, body)


@dataclass(frozen=True, slots=True)
class AsyncDataSet:
    """The reports on one data set of one organization."""

    _client: AsyncClient
    _path: DataSetPath

    async def answer(self, report: Report) -> Answer:
        """Request a report."""
        return await self._client.run(self._path.answer(report))

    async def table(self, report: Report) -> Table:
        """Request a report's rows for a data frame."""
        return await self._client.run(self._path.table(report))

    def answers(self, report: Report) -> AsyncIterator[Answer]:
        """Request a report in pages of `limit` rows, from `offset`."""
        return self._client.pages(self._path.answer(report))

    def tables(self, report: Report) -> AsyncIterator[Table]:
        """Request a report's rows for data frames in pages of `limit` rows, from `offset`."""
        return self._client.pages(self._path.table(report))

    async def explain(self, report: Report) -> Mapping[str, Any]:
        """Describe how the gateway understands a report, without running it."""
        return await self._client.run(self._path.explanation(report))

    async def describe(self) -> Mapping[str, Any]:
        """Describe what a report can ask for."""
        return await self._client.run(self._path.description())

    async def values(
        self,
        dimension: str,
        interval: Fixed,
        *,
        search: str | None = None,
        limit: int | None = None,
    ) -> list[tuple[Cell, int]]:
        """List the values of a dimension with their numbers of rows, the most frequent first."""
        return await self._client.run(self._path.values(dimension, interval, search=search, limit=limit))
