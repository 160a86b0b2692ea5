"""The link that completes the context of a query: its id, timeout, priority, lane, and the span that is its parent."""

import asyncio
import math

import structlog
from opentelemetry.semconv.attributes.db_attributes import DB_COLLECTION_NAME, DB_OPERATION_NAME, DB_SYSTEM_NAME
from opentelemetry.trace import SpanKind

from gateway.druid.api.broker import DRUID_QUERY_ID
from gateway.druid.chain import DruidResponse, Link, RoutedRequest
from gateway.druid.responses import SegmentsMissing, TimeoutAboveLimit
from gateway.errors import DeadlineExceeded
from gateway.telemetry.tracing import parenthood, stage

_HEAVY_PRIORITY = -10

_log = structlog.get_logger(__name__)


class AddContext:
    """Tells Druid how much time is left, but never more than Druid allows.

    Druid rejects a query whose timeout is above its `druid.server.http.maxQueryTimeout`. The rejection names that
    limit: the link keeps to it from then on, and sends the query again.

    If a server has dropped a segment meanwhile, Druid queries other servers for that segment alone. It would compare
    and name the version of that part, so a query with a version fails instead, and is sent again without one.
    """

    def __init__(self, next_link: Link[RoutedRequest]) -> None:
        self._next = next_link
        self._timeout_limit = math.inf

    async def run(self, request: RoutedRequest) -> DruidResponse:
        """Raises DeadlineExceeded if no time is left, and what the next link raises."""
        native = request.query.native
        operation, collection = native["queryType"], native["dataSource"]
        attributes = {
            DB_SYSTEM_NAME: "druid",
            DB_OPERATION_NAME: str(operation),
            DB_COLLECTION_NAME: str(collection),
            DRUID_QUERY_ID: request.query_id,
            **request.broker.address,
        }
        with stage(f"{operation} {collection}", SpanKind.CLIENT, attributes):
            try:
                return await self._next.run(self._completed(request))
            except TimeoutAboveLimit as error:
                self._timeout_limit = error.limit
                _log.warning("druid_timeout_limited", max_query_timeout_ms=error.limit, broker=request.broker.name)
            except SegmentsMissing:
                request = request._replace(known=None)
            return await self._next.run(self._completed(request))

    def _completed(self, request: RoutedRequest) -> RoutedRequest:
        left = request.deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise DeadlineExceeded("The report took too long. Choose a shorter interval, or filter more.")
        timeout = max(1, int(min(left * 1000, self._timeout_limit)))
        # Druid's queues do not know organizations: one with fewer running queries overtakes there, too.
        priority = (_HEAVY_PRIORITY if request.heavy else 0) - request.slot.others
        # Proxies read the parent of their spans from a header, Druid's opentelemetry-emitter from the context.
        context: dict[str, object] = {"queryId": request.query_id, "timeout": timeout, **parenthood()}
        context["priority"] = priority
        if request.heavy:
            context["lane"] = "heavy"
        if request.known is not None:
            context["numRetriesOnMissingSegments"] = 0
        return request.with_context(**context)
