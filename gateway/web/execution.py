"""Running queries in Druid on behalf of a request, and counting the time that they take."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from structlog.contextvars import bind_contextvars

from gateway.druid.api.broker import DRUID_QUERY_ID
from gateway.druid.chain import DruidResponse
from gateway.query.compile import DruidQuery
from gateway.telemetry.tracing import stage, tell
from gateway.web.cache_fields import wants_fresh
from gateway.web.context import CONTEXT, DRUID, INSTRUMENTS, RequestContext
from gateway.web.cpu_budget import metered

_PARSE_SECONDS_PER_BYTE: Final = 2e-9
"""CPU time for parsing Druid's response, per byte of memory that its rows occupy."""


@dataclass(frozen=True, slots=True)
class Results:
    """Druid's responses by the names of their queries. Their memory is leased until the response is sent."""

    responses: Mapping[str, DruidResponse]

    def keep_only(self, size: int) -> None:
        """Replace the leases of Druid's rows by one for `size` bytes: the encoded body. The rows are not used again."""
        first, *others = (response.lease for response in self.responses.values())
        for lease in others:
            lease.release()
        first.resize(size)


async def run_queries(
    request: web.Request, queries: Mapping[str, DruidQuery], deadline: float, *, heavy: bool
) -> Results:
    """Run a request's queries at the same time. If one fails or is cancelled, so are the others."""
    context, druid, fresh = request[CONTEXT], request.app[DRUID], wants_fresh(request)
    with stage("ask"), _waiting_for_druid(request, next(iter(queries))) as responses:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    name: group.create_task(
                        _metered(
                            druid.run(query, f"{context.request_id}-{name}", deadline, heavy=heavy, fresh=fresh),
                            context,
                        )
                    )
                    for name, query in queries.items()
                }
        except ExceptionGroup as errors:
            # Not except*: it would raise a group again, which would become a 500.
            raise errors.exceptions[0] from None
        responses |= {name: task.result() for name, task in tasks.items()}
    for response in responses.values():
        context.until_sent.enter_context(response.lease)
    return Results(responses)


async def _metered(run: Coroutine[Any, Any, DruidResponse], context: RequestContext) -> DruidResponse:
    """Charge the request for a query: its steps here and, by size, the parsing that coalesced requests share."""
    response = await metered(run, context)
    context.cpu_seconds += response.lease.size * _PARSE_SECONDS_PER_BYTE
    return response


@contextmanager
def _waiting_for_druid(request: web.Request, name: str) -> Iterator[dict[str, DruidResponse]]:
    """Count the time until the last of the responses that are put into the dict arrived."""
    loop, context, responses = asyncio.get_running_loop(), request[CONTEXT], dict[str, DruidResponse]()
    began, query_id = loop.time(), f"{context.request_id}-{name}"
    try:
        yield responses
        # The query of a coalesced request is another request's.
        query_id = responses[name].query_id
        tell({DRUID_QUERY_ID: query_id})
        bind_contextvars(rows_from=responses[name].origin)
    finally:
        arrived = max((response.received_at for response in responses.values()), default=loop.time())
        # The response to a coalesced query may have arrived before this request joined it.
        seconds = max(0.0, arrived - began)
        context.timer.add_wait(seconds)
        request.app[INSTRUMENTS].of_requests(context.data_set).druid_seconds.observe(seconds)
        bind_contextvars(druid_query_id=query_id, druid_ms=round(seconds * 1000, 3))
