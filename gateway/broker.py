"""The Druid client: sends native queries to a broker, and brings back whole answers or a clear error.

https://druid.apache.org/docs/33.0.0/querying/ has the endpoint, https://druid.apache.org/docs/33.0.0/querying/troubleshooting
and …/query-context what it says of errors and timeouts.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
import structlog
from yarl import URL

from gateway.errors import (
    BadUpstreamAnswer,
    DeadlineExceeded,
    DruidBusy,
    GatewayError,
    InternalError,
    ReportTooLarge,
    UpstreamUnavailable,
)
from gateway.query.compile import DruidQuery
from gateway.rows import parse_rows
from gateway.tenancy import TenancyViolated, check_query, check_rows

log = structlog.get_logger(__name__)

_RETRY_SOON = {"Retry-After": "5"}
_CANCEL_TIMEOUT = aiohttp.ClientTimeout(total=5)
_CHUNK = 1 << 16


class Broker:
    """A client of one Druid broker. An async context manager: it holds connections, and cancellations under way."""

    def __init__(self, url: URL, *, connections: int, max_answer_bytes: int) -> None:
        self._queries = url / "druid/v2"
        self._health = url / "status/health"
        self._connections = connections
        self._max_answer_bytes = max_answer_bytes
        self._cancellations: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=30),
            # The deadline of each request is its only time limit. On a local network packing costs more than it saves.
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json"},
            json_serialize=lambda body: orjson.dumps(body).decode(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cancellations:
            await asyncio.wait(self._cancellations)
        await self._session.close()

    async def run(self, query: DruidQuery, query_id: str, deadline: float) -> list[Any]:
        """Return the rows of the query's whole answer.

        `query_id` must be one that nobody can guess, since Druid cancels by it. `deadline` is the event loop's time by
        which the rows must be there; Druid is told how much is left. Whenever the answer is not read to its end (the
        deadline, a caller who left, a broken connection) the query is cancelled in Druid.

        Raises InternalError, DruidBusy, ReportTooLarge, BadUpstreamAnswer, UpstreamUnavailable or DeadlineExceeded.
        """
        try:
            check_query(query)
            rows = await self._answer(query, query_id, deadline)
            check_rows(query, rows)
        except TenancyViolated as error:
            log.critical("tenancy_violated", reason=str(error), druid_query_id=query_id)
            raise InternalError("The report was stopped.") from error
        return rows

    async def is_healthy(self) -> bool:
        """Whether the broker says that it can answer, within two seconds."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.get(self._health, timeout=aiohttp.ClientTimeout(total=2)) as response:
                return response.status == 200
        return False

    async def _answer(self, query: DruidQuery, query_id: str, deadline: float) -> list[Any]:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise DeadlineExceeded("The report took too long.")
        context = {**query.native["context"], "queryId": query_id, "timeout": max(1, int(left * 1000))}
        body = orjson.dumps({**query.native, "context": context})
        try:
            try:
                async with asyncio.timeout_at(deadline), self._session.post(self._queries, data=body) as response:
                    raw = await self._read(response)
            except aiohttp.ClientConnectorError:
                raise
            except BaseException:
                # Druid may have the query and will not notice by itself that nobody waits for it any more.
                self._cancel_later(query_id)
                raise
            return await self._rows(response, raw)
        except TimeoutError as error:
            raise DeadlineExceeded("The report took too long. Ask for a shorter interval, or filter more.") from error
        except aiohttp.ClientConnectorError as error:
            log.error("druid_unreachable", error=repr(error))
            raise UpstreamUnavailable("The database cannot be reached.", headers=_RETRY_SOON) from error
        except aiohttp.ClientError as error:
            log.error("druid_connection_broken", error=repr(error), druid_query_id=query_id)
            raise BadUpstreamAnswer("The database broke off its answer.") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            chunks += chunk
            if len(chunks) > self._max_answer_bytes:
                log.error("druid_answer_too_large", most_bytes=self._max_answer_bytes)
                raise BadUpstreamAnswer("The database's answer is too large.")
        return bytes(chunks)

    async def _rows(self, response: aiohttp.ClientResponse, raw: bytes) -> list[Any]:
        if response.status != 200:
            raise _error(response.status, raw)
        try:
            return await parse_rows(raw)
        except ValueError as error:
            # Also what a failure after the first row looks like: an array that is left open.
            log.error("druid_answer_unreadable", content_type=response.content_type, start=raw[:200], end=raw[-200:])
            raise BadUpstreamAnswer("The database gave no whole answer.") from error

    def _cancel_later(self, query_id: str) -> None:
        """Cancel in a task of its own, for whoever asked may be gone already."""
        task = asyncio.create_task(self._cancel(query_id))
        self._cancellations.add(task)
        task.add_done_callback(self._cancellations.discard)

    async def _cancel(self, query_id: str) -> None:
        try:
            async with self._session.delete(self._queries / query_id, timeout=_CANCEL_TIMEOUT) as response:
                log.info("druid_query_cancelled", druid_query_id=query_id, druid_status=response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("druid_query_not_cancelled", druid_query_id=query_id, error=repr(error))


def _error(status: int, raw: bytes) -> GatewayError:
    """Return what an answer that is no 200 means to the caller; Druid's own words go to the log alone."""
    try:
        told = orjson.loads(raw)
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    reason = told.get("error")
    log.error("druid_refused", druid_status=status, error=reason, message=told.get("errorMessage"), start=raw[:200])
    match status:
        case 400 if reason == "Resource limit exceeded":
            return ReportTooLarge(
                "The report needs more memory than one report may have. Group by fewer dimensions, filter more, or ask "
                "for a shorter interval."
            )
        case 400:
            return InternalError("The report could not be computed.")
        case 429:
            return DruidBusy("Too many reports are running. Ask again later.", headers=_RETRY_SOON)
        case 503:
            return UpstreamUnavailable("The database is not available.", headers=_RETRY_SOON)
        case 504:
            return DeadlineExceeded("The report took too long. Ask for a shorter interval, or filter more.")
        case _:
            return BadUpstreamAnswer("The database could not answer.")
