"""Running queries in Druid on behalf of a request, and counting the time that they take."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web
from structlog.contextvars import bind_contextvars

from gateway.druid.api.broker import DRUID_QUERY_ID, Reply
from gateway.druid.memory_budget import Room
from gateway.query.compile import DruidQuery
from gateway.telemetry.tracing import stage, tell
from gateway.web.context import CONTEXT, DRUID, INSTRUMENTS


@dataclass(frozen=True, slots=True)
class Results:
    """Druid's responses by the names of their queries, and the memory that they occupy until the response is sent."""

    responses: Mapping[str, Reply]
    memory: Room


async def run_queries(
    request: web.Request, queries: Mapping[str, DruidQuery], deadline: float, *, heavy: bool
) -> Results:
    """Run a request's queries at the same time. If one fails or is cancelled, so are the others."""
    context, druid = request[CONTEXT], request.app[DRUID]
    organization_id = next(iter(queries.values())).tenant.owner_organization_id
    memory = context.until_sent.enter_context(druid.memory.room(organization_id))
    with stage("ask"), _waiting_for_druid(request, next(iter(queries))) as responses:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    name: group.create_task(druid.run(query, f"{context.request_id}-{name}", deadline, heavy=heavy))
                    for name, query in queries.items()
                }
        except ExceptionGroup as errors:
            # Not except*: it would raise a group again, which would become a 500.
            raise errors.exceptions[0] from None
        responses |= {name: task.result() for name, task in tasks.items()}
    memory.resize(sum(response.size for response in responses.values()))
    return Results(responses, memory)


@contextmanager
def _waiting_for_druid(request: web.Request, name: str) -> Iterator[dict[str, Reply]]:
    """Count the time until the last of the responses that are put into the dict arrived."""
    loop, context, responses = asyncio.get_running_loop(), request[CONTEXT], dict[str, Reply]()
    began, query_id = loop.time(), f"{context.request_id}-{name}"
    try:
        yield responses
        # The query of a coalesced request is another request's.
        query_id = responses[name].query_id
        tell({DRUID_QUERY_ID: query_id})
    finally:
        arrived = max((response.came for response in responses.values()), default=loop.time())
        # The response to a coalesced query may have arrived before this request joined it.
        seconds = max(0.0, arrived - began)
        context.timer.add_wait(seconds)
        request.app[INSTRUMENTS].of_requests(context.data_set).druid_seconds.observe(seconds)
        bind_contextvars(druid_query_id=query_id, druid_ms=round(seconds * 1000, 3))
