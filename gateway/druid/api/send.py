"""The last link: sends a guarded query to its broker and returns all rows of the response, or a clear error.

https://druid.apache.org/docs/33.0.0/querying/query-context says what Druid does at a timeout.
"""

import asyncio
from typing import Any

import structlog
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE
from prometheus_client import Histogram

from gateway.druid.api.broker import NoAnswer
from gateway.druid.api.cancellation import cancel
from gateway.druid.api.connection import BrokenResponse, ConnectionFailed, Exchange, NoResponse, Outgoing, Response
from gateway.druid.chain import DruidResponse
from gateway.druid.memory_budget import GROWTH
from gateway.druid.responses import error_in, uncovered_in, version_in
from gateway.druid.row_parser import parse_rows
from gateway.druid.tenant_guard import GuardedQuery
from gateway.errors import DeadlineExceeded, InvalidDruidResponse, ReportTooLarge
from gateway.telemetry.instruments import Timer, timed
from gateway.telemetry.tracing import tell

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
            response = await self._exchange(request, timer, sent_at)
            received_at = asyncio.get_running_loop().time()
            timer.stop()
            tell({HTTP_RESPONSE_STATUS_CODE: response.status})
            confirmed = request.known if response.status == 304 else None
            version: str | None
            if confirmed is not None:
                timer.outcome = "confirmed"
                version, body, uncovered = confirmed.version, confirmed.body, confirmed.uncovered
                await request.lease.grow(GROWTH * len(body))
            elif response.status == 200:
                version, body, uncovered = version_in(response.headers), response.body, uncovered_in(response.headers)
            else:
                raise error_in(response.status, response.body, request.body)
            rows = await _rows(body, response)
        return DruidResponse(
            rows,
            request.lease,
            request.query_id,
            sent_at,
            received_at,
            uncovered,
            version,
            body,
            "druid" if confirmed is None else "confirmed",
        )

    async def _exchange(self, request: GuardedQuery, timer: Timer, sent_at: float) -> Response:
        exchange: Exchange | None = None
        try:
            exchange = await self._send(request)
            try:
                return await exchange.response
            except NoResponse as error:
                # A broker or a proxy may close an idle connection at the moment at which a query is sent through it.
                _log.info("druid_connection_retried", error=str(error), broker=request.broker.name)
            exchange = await self._send(request, fresh=True)
            return await exchange.response
        except ConnectionFailed as error:
            _log.error(
                "druid_connection_failed",
                error=str(error),
                broker=request.broker.name,
                druid_query_id=request.query_id,
            )
            if exchange is not None:
                self._cancel(request, exchange, sent_at)
            if isinstance(error, BrokenResponse):
                raise InvalidDruidResponse("The database closed the connection during its response.") from error
            timer.outcome = "no_answer"
            raise NoAnswer from error
        except BaseException as error:
            # Druid may have the query, and does not notice by itself that it was abandoned.
            if exchange is not None:
                self._cancel(request, exchange, sent_at)
            if isinstance(error, TimeoutError):
                detail = "The report took too long. Choose a shorter interval, or filter more."
                raise DeadlineExceeded(detail) from error
            raise

    async def _send(self, request: GuardedQuery, *, fresh: bool = False) -> Exchange:
        def account(size: int) -> None:
            request.lease.resize(GROWTH * size)
            if size > self._max_bytes:
                _log.error("druid_response_too_large", limit_bytes=self._max_bytes)
                raise ReportTooLarge(
                    "The report's rows take more memory than one report may have. Group by fewer dimensions, choose a "
                    "coarser granularity or a shorter interval, or set `limit`."
                )

        query = Outgoing(request.body, request.headers, request.query_id, account, request.deadline)
        return await request.broker.query(query, fresh=fresh)

    def _cancel(self, request: GuardedQuery, exchange: Exchange, sent_at: float) -> None:
        request.slot.release_after(
            cancel(request.broker, request.query_id, exchange, sent_at, self._cancellation_seconds)
        )


async def _rows(body: bytes | bytearray, response: Response) -> list[Any]:
    try:
        return await parse_rows(body)
    except ValueError as error:
        # Also how a failure after the first row looks: an array that is not closed. The response may contain what
        # callers filtered by, so it is not logged.
        content_type = response.headers.get(b"content-type", b"").decode("latin-1")
        _log.error("druid_response_not_readable", content_type=content_type, length=len(body))
        raise InvalidDruidResponse("The database did not give a complete response.") from error
