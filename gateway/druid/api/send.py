"""The last link: sends a guarded query to its broker and returns all rows of the response, or a clear error.

https://druid.apache.org/docs/33.0.0/querying/query-context says what Druid does at a timeout.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import aiohttp
import structlog
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE
from prometheus_client import Histogram

from gateway.druid.api.broker import NoAnswer
from gateway.druid.api.cancellation import cancel
from gateway.druid.api.http import describe
from gateway.druid.chain import DruidResponse
from gateway.druid.memory_budget import GROWTH
from gateway.druid.responses import error_in, uncovered_in
from gateway.druid.row_parser import parse_rows
from gateway.druid.tenant_guard import GuardedQuery
from gateway.errors import DeadlineExceeded, InvalidDruidResponse, ReportTooLarge
from gateway.telemetry.instruments import Timer, timed
from gateway.telemetry.tracing import tell

_CHUNK = 1 << 16
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)

_log = structlog.get_logger(__name__)


class Send:
    """Sends queries. `query_seconds` and `cancellation_seconds` are measured by broker and outcome."""

    def __init__(self, *, max_response_bytes: int, query_seconds: Histogram, cancellation_seconds: Histogram) -> None:
        self._max_bytes = max_response_bytes
        self._query_seconds = query_seconds
        self._cancellation_seconds = cancellation_seconds

    async def run(self, request: GuardedQuery) -> DruidResponse:
        """Return the complete response. If it is not read to its end for any reason, the query is cancelled in Druid.

        Raises NoAnswer, TimeoutAboveLimit, and a GatewayError for everything else.
        """
        sent_at = asyncio.get_running_loop().time()
        with timed(self._query_seconds, request.broker.name, success="answered") as timer:
            status, headers, raw = await self._exchange(request, timer, sent_at)
            received_at = asyncio.get_running_loop().time()
            timer.stop()
            tell({HTTP_RESPONSE_STATUS_CODE: status})
            body: bytes | bytearray = raw
            if status == HTTPStatus.NOT_MODIFIED and request.known is not None:
                timer.outcome = "confirmed"
                version, body, uncovered = request.known.version, request.known.body, request.known.uncovered
                request.lease.resize(GROWTH * len(body))
            elif status == HTTPStatus.OK:
                version, uncovered = headers.get("ETag"), uncovered_in(headers)
            else:
                raise error_in(status, raw, request.body)
            rows = await _rows(body, headers.get("Content-Type", ""))
        return DruidResponse(
            rows,
            request.lease,
            request.query_id,
            sent_at,
            received_at,
            uncovered,
            version,
            body,
            "druid" if body is raw else "confirmed",
        )

    async def _exchange(self, request: GuardedQuery, timer: Timer, sent_at: float) -> tuple[int, Any, bytearray]:
        sending = asyncio.create_task(_send(request))
        try:
            # Shielded because a cancellation in Druid continues until the request ends; see cancel.
            async with asyncio.timeout_at(request.deadline), await asyncio.shield(sending) as response:
                return response.status, response.headers, await self._read(response, request)
        except aiohttp.ClientError as error:
            if not isinstance(error, _NOT_CONNECTED):
                self._cancel(request, sending, sent_at)
            _log.error(
                "druid_connection_failed",
                error=describe(error),
                broker=request.broker.name,
                druid_query_id=request.query_id,
            )
            if sending.exception() and isinstance(error, aiohttp.ClientConnectionError):
                timer.outcome = "no_answer"
                raise NoAnswer from error
            raise InvalidDruidResponse("The database closed the connection during its response.") from error
        except TimeoutError as error:
            self._cancel(request, sending, sent_at)
            raise DeadlineExceeded("The report took too long. Choose a shorter interval, or filter more.") from error
        except BaseException:
            # Druid may have the query, and does not notice by itself that it was abandoned.
            self._cancel(request, sending, sent_at)
            raise

    async def _read(self, response: aiohttp.ClientResponse, request: GuardedQuery) -> bytearray:
        chunks = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            chunks += chunk
            request.lease.resize(GROWTH * len(chunks))
            if len(chunks) > self._max_bytes:
                _log.error("druid_response_too_large", limit_bytes=self._max_bytes)
                raise ReportTooLarge(
                    "The report's rows take more memory than one report may have. Group by fewer dimensions, choose a "
                    "coarser granularity or a shorter interval, or set `limit`."
                )
        return chunks

    def _cancel(self, request: GuardedQuery, sending: asyncio.Task[aiohttp.ClientResponse], sent_at: float) -> None:
        request.slot.release_after(
            cancel(request.broker, request.query_id, sending, sent_at, self._cancellation_seconds)
        )


async def _send(request: GuardedQuery) -> aiohttp.ClientResponse:
    """Return the response once it begins. If the connection is closed before that, use a new one, once.

    A broker or a proxy may close an idle connection at the moment at which a query is sent through it.
    """
    try:
        return await request.broker.query(request.body, request.headers)
    except _NOT_CONNECTED:
        raise
    except aiohttp.ClientConnectionError as error:
        _log.info("druid_connection_retried", error=describe(error), broker=request.broker.name)
        return await request.broker.query(request.body, request.headers, fresh=True)


async def _rows(raw: bytes | bytearray, content_type: str) -> list[Any]:
    try:
        return await parse_rows(raw)
    except ValueError as error:
        # Also how a failure after the first row looks: an array that is not closed. The response may contain what
        # callers filtered by, so it is not logged.
        _log.error("druid_response_not_readable", content_type=content_type, length=len(raw))
        raise InvalidDruidResponse("The database did not give a complete response.") from error
