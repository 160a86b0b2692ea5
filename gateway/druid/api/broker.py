"""One Druid broker: sends it native queries and brings back whole answers or a clear error.

https://druid.apache.org/docs/33.0.0/querying/ has the endpoint, …/querying/query-context what it says of timeouts.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
import structlog
from opentelemetry.semconv.attributes.db_attributes import DB_COLLECTION_NAME, DB_OPERATION_NAME, DB_SYSTEM_NAME
from opentelemetry.semconv.attributes.http_attributes import HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue
from yarl import URL

from gateway.druid.memory_budget import GROWTH, Room
from gateway.druid.responses import refusal, uncovered
from gateway.druid.row_parser import parse_rows
from gateway.druid.stretches import Stretch, parse_stretch
from gateway.errors import DeadlineExceeded, InvalidDruidResponse
from gateway.query.literals import Json
from gateway.telemetry.durations import Durations, Timing
from gateway.telemetry.tracing import parenthood, stage, tell

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 1.0
"""A broker that cannot be connected to in this time is one that gives no answer."""
DRUID_QUERY_ID = "gateway.druid_query_id"
_SHORT = aiohttp.ClientTimeout(total=2)
# Seconds until all of Druid's servers know of a query: a cancellation that overtakes it is forgotten, in each of them.
_KNOWN_AFTER = 0.05
# Seconds from one cancellation of a query to the next.
_CANCEL_AGAIN = (0.05, 0.1, 0.2, 0.4, 0.8)
_CHUNK = 1 << 16
# Druid's context comes in a header, of up to 7 kB by default.
_LONGEST_HEADER = 1 << 16


class NoAnswer(Exception):
    """The broker could not be reached, or broke off before the first byte of an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `uncovered` is the time that no server had data for; None where the broker did not list all.

    `size` is roughly how many bytes the rows take in memory, `query_id` that of the query they answer, and `came` the
    event loop's time at which the last byte was there.
    """

    rows: list[Any]
    size: int
    uncovered: tuple[Stretch, ...] | None
    query_id: str
    came: float


class Broker:
    """A client of one broker. An async context manager: it holds connections, and cancellations under way."""

    def __init__(self, url: URL, *, max_answer_bytes: int) -> None:
        self.url = url
        self.name = str(url.with_user(None))
        self.queries = Durations()
        self.cancelled = Durations()
        self._address: dict[str, AttributeValue] = {SERVER_ADDRESS: url.host or "", SERVER_PORT: url.port or 80}
        self._queries = url / "druid/v2"
        self._max_answer_bytes = max_answer_bytes
        self._cancellations: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # How many queries there are at once is bounded before; a cancellation never waits for a connection.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            # Once connected, the deadline of each request is its only time limit.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            # On a local network packing costs more than it saves.
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json"},
            max_field_size=_LONGEST_HEADER,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cancellations:
            await asyncio.wait(self._cancellations)
        await self._session.close()

    async def ask(self, native: Json, query_id: str, deadline: float, room: Room) -> Reply:
        """Return the whole answer to a native query, which takes its room while it comes.

        `query_id` must be one that nobody can guess, since Druid cancels by it. `deadline` is the event loop's time by
        which the rows must be there; Druid is told how much is left. Whenever the answer is not read to its end (the
        deadline, a caller who left, a broken connection) the query is cancelled in Druid.

        Raises NoAnswer, DruidBusy, ReportTooLarge, InternalError, InvalidDruidResponse, DruidUnavailable or
        DeadlineExceeded.
        """
        operation, collection = native["queryType"], native["dataSource"]
        attributes = {
            DB_SYSTEM_NAME: "druid",
            DB_OPERATION_NAME: operation,
            DB_COLLECTION_NAME: collection,
            DRUID_QUERY_ID: query_id,
            **self._address,
        }
        with stage(f"{operation} {collection}", SpanKind.CLIENT, attributes), self.queries.timing() as timing:
            return await self._ask(native, query_id, deadline, room, timing)

    async def _ask(self, native: Json, query_id: str, deadline: float, room: Room, timing: Timing) -> Reply:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise DeadlineExceeded("The report took too long.")
        # Proxies look for the parent of their spans in a header, Druid's opentelemetry-emitter in the query's context.
        parent = parenthood()
        context = {**native["context"], **parent, "queryId": query_id, "timeout": max(1, int(left * 1000))}
        asked_at = asyncio.get_running_loop().time()
        asking = asyncio.create_task(self._post(orjson.dumps({**native, "context": context}), parent))
        try:
            # Shielded: a cancellation goes on until this ends, see _cancel.
            async with asyncio.timeout_at(deadline), await asyncio.shield(asking) as response:
                raw = await self._read(response, room)
        except aiohttp.ClientError as error:
            if not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                self._cancel_later(query_id, asking, asked_at)
            log.error("druid_connection_broken", error=repr(error), broker=self.name, druid_query_id=query_id)
            if asking.exception() and isinstance(error, aiohttp.ClientConnectionError):
                timing.outcome = "no_answer"
                raise NoAnswer from error
            raise InvalidDruidResponse("The database broke off its answer.") from error
        except TimeoutError as error:
            self._cancel_later(query_id, asking, asked_at)
            raise DeadlineExceeded("The report took too long. Ask for a shorter interval, or filter more.") from error
        except BaseException:
            # Druid may have the query and does not notice by itself that nobody waits for it any more.
            self._cancel_later(query_id, asking, asked_at)
            raise
        came = asyncio.get_running_loop().time()
        timing.stop()
        tell({HTTP_RESPONSE_STATUS_CODE: response.status})
        if response.status != 200:
            raise refusal(response.status, raw, native)
        return Reply(await self._rows(response, raw), GROWTH * len(raw), uncovered(response.headers), query_id, came)

    async def is_healthy(self) -> bool:
        """Whether the broker says within two seconds that it can answer and knows what there is to ask for."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.get(self.url / "druid/broker/v1/readiness", timeout=_SHORT) as response:
                return response.status == 200
        return False

    async def served(self, data_source: str, stretch: Stretch, deadline: float) -> tuple[Stretch, ...]:
        """Return the time within the stretch for which some server has every part of the data that there is.

        Raises NoAnswer or InvalidDruidResponse.
        """
        try:
            found = await self.candidates(data_source, stretch, deadline)
            return tuple(parse_stretch(each["interval"]) for each in found if each["locations"])
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidDruidResponse("The database gave no whole answer.") from error

    async def candidates(self, data_source: str, stretch: Stretch, deadline: float) -> list[Any]:
        """Return each segment of that time that is served, as Druid describes it, and where.

        Raises NoAnswer or InvalidDruidResponse.
        """
        url = self._queries / "datasources" / data_source / "candidates"
        query = {"intervals": "/".join(stretch.iso()), "numCandidates": "-1"}
        return await self._rows_of(self._session.get(url, params=query), deadline)

    async def segments(self, data_source: str, descriptors: list[Json], deadline: float) -> list[Any]:
        """Return what is known of each of these segments: its id and how many rows it has now.

        Raises NoAnswer or InvalidDruidResponse.
        """
        left = deadline - asyncio.get_running_loop().time()
        native = {
            "queryType": "segmentMetadata",
            "dataSource": data_source,
            "intervals": {"type": "segments", "segments": descriptors},
            "analysisTypes": [],
            "toInclude": {"type": "none"},
            "merge": False,
            "context": {"timeout": max(1, int(left * 1000)), "priority": 10},
        }
        return await self._rows_of(self._session.post(self._queries, data=orjson.dumps(native)), deadline)

    async def _rows_of(
        self, request: AbstractAsyncContextManager[aiohttp.ClientResponse], deadline: float
    ) -> list[Any]:
        """Return the answer to a question that is no report."""
        try:
            async with asyncio.timeout_at(deadline), request as response:
                return await parse_rows(await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswer from error
        except ValueError as error:
            raise InvalidDruidResponse("The database gave no whole answer.") from error

    async def _read(self, response: aiohttp.ClientResponse, room: Room) -> bytearray:
        chunks = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            chunks += chunk
            room.resize(GROWTH * len(chunks))
            if len(chunks) > self._max_answer_bytes:
                log.error("druid_answer_too_large", most_bytes=self._max_answer_bytes)
                raise InvalidDruidResponse("The database's answer is too large.")
        return chunks

    async def _rows(self, response: aiohttp.ClientResponse, raw: bytearray) -> list[Any]:
        try:
            return await parse_rows(raw)
        except ValueError as error:
            # Also what a failure after the first row looks like: an array that is left open. The answer itself may
            # hold what callers filtered by, and stays out of the log.
            log.error("druid_answer_unreadable", content_type=response.content_type, length=len(raw))
            raise InvalidDruidResponse("The database gave no whole answer.") from error

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Return Druid's answer once it has begun."""
        return await self._session.post(self._queries, data=body, headers=headers)

    def cancellations(self, query_id: str) -> list[asyncio.Task[None]]:
        """Return what is under way to end this query in Druid."""
        return [task for task in self._cancellations if task.get_name() == query_id]

    def _cancel_later(self, query_id: str, asking: asyncio.Task[aiohttp.ClientResponse], asked_at: float) -> None:
        """Cancel in a task of its own, for whoever asked may be gone already."""
        task = asyncio.create_task(self._cancel(query_id, asking, asked_at), name=query_id)
        self._cancellations.add(task)
        task.add_done_callback(self._cancellations.discard)

    async def _cancel(self, query_id: str, asking: asyncio.Task[aiohttp.ClientResponse], asked_at: float) -> None:
        """Tell Druid to cancel, again and again until it answers the query: it says 202 whether it knows it or not."""
        await asyncio.wait({asking}, timeout=max(0.0, asked_at + _KNOWN_AFTER - asyncio.get_running_loop().time()))
        for pause in _CANCEL_AGAIN:
            await self._delete(query_id)
            await asyncio.wait({asking}, timeout=pause)
            if asking.done():
                break
        else:
            log.warning("druid_query_not_cancelled", druid_query_id=query_id)
            asking.cancel()
            await asyncio.wait({asking})
        if not asking.cancelled() and asking.exception() is None:
            asking.result().close()

    async def _delete(self, query_id: str) -> None:
        attributes = {HTTP_REQUEST_METHOD: "DELETE", DRUID_QUERY_ID: query_id, **self._address}
        with stage("cancel", SpanKind.CLIENT, attributes), self.cancelled.timing("accepted") as timing:
            try:
                async with self._session.delete(self._queries / query_id, timeout=_SHORT) as response:
                    if response.status != 202:
                        timing.outcome = "refused"
                    log.info("druid_query_cancelled", druid_query_id=query_id, druid_status=response.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                timing.outcome = "no_answer"
                log.warning("druid_cancellation_failed", druid_query_id=query_id, error=repr(error))
