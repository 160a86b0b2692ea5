"""The client for programs without an event loop."""

import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import urllib3

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
_CHUNK = 2**16


class Client:
    """A context manager; threads can share it. Every method raises ReportingError.

    `scheme` is "Bearer" for an OAuth2 access token; `ssl_context` is for a private CA.
    """

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
        self._pool = urllib3.PoolManager(maxsize=16, ssl_context=ssl_context)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._gateway.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._pool.clear()

    def organizations(self) -> list[Organization]:
        """List the organizations, and their data sets, that the credential can use."""
        return self.run(operations.organizations())

    def data_set(self, organization_id: str, name: str) -> "DataSet":
        return DataSet(self, DataSetPath(organization_id, name))

    def run(self, operation: Operation[T]) -> T:
        """Send a request, if necessary several times, and return what its response means."""
        request = operation.request
        attempts = Attempts(self._limits)
        while True:
            stored = self._stored.get(request)
            outcome = self._stored.resolve(request, stored, self._send(request, stored, attempts))
            pause = attempts.pause_after(outcome)
            if pause is None:
                return operation.result(outcome, self._gateway.url)
            time.sleep(pause)

    def pages(self, operation: Operation[T]) -> Iterator[T]:
        """Run an operation, and go on with the links to further pages."""
        following: Operation[Page[T]] | None = first_page(operation)
        while following is not None:
            page = self.run(following)
            yield page.content
            following = page.following

    def _send(self, request: Request, stored: Response | None, attempts: Attempts) -> Outcome:
        seconds = attempts.seconds_left
        if not seconds:
            # Both libraries give 0 another meaning than that of no time.
            return NO_TIME
        try:
            response = self._pool.request(
                request.method,
                self._gateway.url_of(request),
                body=request.body,
                headers={
                    "Accept-Encoding": "gzip",
                    **self._gateway.headers(request, stored, seconds),
                },
                timeout=urllib3.Timeout(total=seconds),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return NoResponse(type(error).__name__)
        try:
            return _received(response, attempts)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return NoResponse(type(error).__name__)
        finally:
            # An incomplete response makes the connection useless, and its end tells the gateway to cancel.
            if not response.closed:
                response.close()
            response.release_conn()


def _received(response: urllib3.BaseHTTPResponse, attempts: Attempts) -> Outcome:
    chunks = []
    for chunk in response.stream(_CHUNK):
        chunks.append(chunk)
        if not attempts.seconds_left:
            return NoResponse("the response took too long")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(response.status, headers, b"".join(chunks))


@dataclass(frozen=True, slots=True)
class DataSet:
    """The reports on one data set of one organization."""

    _client: Client
    _path: DataSetPath

    def answer(self, report: Report) -> Answer:
        """Request a report."""
        return self._client.run(self._path.answer(report))

    def table(self, report: Report) -> Table:
        """Request a report's rows for a data frame."""
        return self._client.run(self._path.table(report))

    def answers(self, report: Report) -> Iterator[Answer]:
        """Request a report in pages of `limit` rows, from `offset`."""
        return self._client.pages(self._path.answer(report))

    def tables(self, report: Report) -> Iterator[Table]:
        """Request a report's rows for data frames in pages of `limit` rows, from `offset`."""
        return self._client.pages(self._path.table(report))

    def explain(self, report: Report) -> Mapping[str, Any]:
        """Describe how the gateway understands a report, without running it."""
        return self._client.run(self._path.explanation(report))

    def describe(self) -> Mapping[str, Any]:
        """Describe what a report can ask for."""
        return self._client.run(self._path.description())

    def values(
        self,
        dimension: str,
        interval: Fixed,
        *,
        search: str | None = None,
        limit: int | None = None,
    ) -> list[tuple[Cell, int]]:
        """List the values of a dimension with their numbers of rows, the most frequent first."""
        return self._client.run(self._path.values(dimension, interval, search=search, limit=limit))
