"""One Druid broker: native queries, the segments it knows, and whether it is ready.

https://druid.apache.org/docs/33.0.0/querying/ describes queries, …/api-reference/service-status-api readiness.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
import structlog
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.util.types import AttributeValue

from gateway.druid.api.connection import Exchange, Outgoing
from gateway.druid.api.connection_pool import CONNECT_SECONDS, ConnectionPool
from gateway.druid.api.http import UnexpectedStatus, quoted
from gateway.druid.api.security import OPEN, Security
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.intervals import TimeRange
from gateway.druid.row_parser import parse_rows
from gateway.druid.segments import Segment, ServedSegment
from gateway.druid.slices import sliced
from gateway.errors import InvalidDruidResponse

DRUID_QUERY_ID = "gateway.druid_query_id"
"""The attribute of spans that has the id of a query in Druid."""
SHORT = aiohttp.ClientTimeout(total=2)
"""For requests that a healthy broker answers at once."""
_QUERIES = "druid/v2"

_log = structlog.get_logger(__name__)


class NoAnswer(Exception):
    """The broker could not be reached, or closed the connection before the first byte of a response."""


class Broker:
    """A client of one broker. An async context manager: it holds connections."""

    def __init__(self, url: ServiceUrl, security: Security = OPEN) -> None:
        self._url = url
        self._security = security
        self.name = str(url)
        self.is_secure = url.is_secure
        self.address: Mapping[str, AttributeValue] = {
            SERVER_ADDRESS: url.public.host or "",
            SERVER_PORT: url.public.port or 80,
        }

    async def __aenter__(self) -> Self:
        # On a local network compression costs more than it saves.
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        headers |= self._security.headers(self._url)
        self._queries = ConnectionPool(self._url / _QUERIES, headers, tls=self._security.tls)
        # For everything but queries. A cancellation never waits for a connection.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ssl=self._security.tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            headers=headers,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._queries.close()
        await self._session.close()

    @property
    def connections(self) -> tuple[int, int]:
        """The number of connections in use, and of idle ones."""
        in_use, idle = self._queries.in_use, self._queries.idle
        if connector := self._session.connector:
            in_use += len(connector._acquired)  # noqa: SLF001 - aiohttp does not count them
            idle += sum(map(len, connector._conns.values()))  # noqa: SLF001
        return in_use, idle

    async def query(self, query: Outgoing, *, fresh: bool = False) -> Exchange:
        """Send a native query; see ConnectionPool.send."""
        return await self._queries.send(query, fresh=fresh)

    async def cancel(self, query_id: str) -> int:
        """Ask Druid to cancel all queries with this id; return the status, 202 whether it knows one or not."""
        url = self._url / quoted(*_QUERIES.split("/"), query_id)
        async with self._session.delete(url, timeout=SHORT) as response:
            return response.status

    async def is_healthy(self) -> bool:
        """Whether the broker says within two seconds that it can answer and knows which data is served."""
        with suppress(aiohttp.ClientError, TimeoutError):
            status = await self._status("druid/broker/v1/readiness")
            # A Router, which has no such path, sends queries only to Brokers that are ready.
            return status == 200 or (status == 404 and await self._status("status/health") == 200)
        return False

    async def _status(self, path: str) -> int:
        async with self._session.get(self._url / path, timeout=SHORT) as response:
            return response.status

    async def data_sources(self, deadline: float) -> list[str]:
        """Return the names of the data sources with a segment that a server has. Raises as candidates."""
        names = await self._rows(self._session.get(self._url / f"{_QUERIES}/datasources"), deadline)
        return [str(name) for name in names]

    async def candidates(self, data_source: str, time_range: TimeRange, deadline: float) -> list[ServedSegment]:
        """Return the segments of this time that the broker knows, and where they are.

        A segment that cannot be read is not among them. Raises NoAnswer, or InvalidDruidResponse, also if there are
        segments and none can be read.
        """
        url = self._url / quoted(*_QUERIES.split("/"), "datasources", data_source, "candidates")
        params = {"intervals": str(time_range), "numCandidates": "-1"}
        served: list[ServedSegment] = []
        unreadable = 0
        async for part in sliced(await self._rows(self._session.get(url, params=params), deadline)):
            for each in part:
                try:
                    served.append(ServedSegment.from_candidate(each))
                except (AttributeError, KeyError, TypeError, ValueError):
                    unreadable += 1
        if unreadable:
            # One line: there may be thousands.
            _log.warning("candidates_not_readable", data_source=data_source, broker=self.name, segments=unreadable)
            if not served:
                raise InvalidDruidResponse("The database did not give a complete response.")
        return served

    async def row_counts(self, data_source: str, segments: Iterable[Segment], deadline: float) -> Mapping[Segment, int]:
        """Return how many rows each of these segments has now, over all servers that the broker asks.

        Raises NoAnswer or InvalidDruidResponse.
        """
        by_id = {segment.id(data_source): segment for segment in segments}
        counts: Counter[Segment] = Counter()
        if not by_id:
            return counts
        left = deadline - asyncio.get_running_loop().time()
        native = {
            "queryType": "segmentMetadata",
            "dataSource": data_source,
            "intervals": {"type": "segments", "segments": [each.descriptor() for each in by_id.values()]},
            "analysisTypes": [],
            "toInclude": {"type": "none"},
            "merge": False,
            "context": {"timeout": max(1, int(left * 1000)), "priority": 10},
        }
        try:
            for each in await self.rows_of(native, deadline):
                # A segment that a newer version replaces in part has an id that was not requested.
                if each["id"] in by_id:
                    counts[by_id[each["id"]]] += each["numRows"]
        except (KeyError, TypeError) as error:
            raise InvalidDruidResponse("The database did not give a complete response.") from error
        return counts

    async def rows_of(self, native: Mapping[str, Any], deadline: float) -> list[Any]:
        """Return the rows of a query of the gateway's own about a whole data source; nothing restricts it to a tenant.

        It must never be a caller's. Raises NoAnswer or InvalidDruidResponse.
        """
        return await self._rows(self._session.post(self._url / _QUERIES, data=orjson.dumps(native)), deadline)

    async def _rows(self, request: AbstractAsyncContextManager[aiohttp.ClientResponse], deadline: float) -> list[Any]:
        try:
            async with asyncio.timeout_at(deadline), request as response:
                status, body = response.status, await response.read()
            if status != 200:
                raise InvalidDruidResponse("The database refused a request.") from UnexpectedStatus(
                    self.name, status, body
                )
            return await parse_rows(body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswer from error
        except ValueError as error:
            raise InvalidDruidResponse("The database did not give a complete response.") from error
