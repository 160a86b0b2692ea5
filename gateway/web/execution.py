"""Running queries in Druid on behalf of a request, and counting the time that they take."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from gateway.druid.api.broker import DRUID_QUERY_ID
from gateway.druid.chain import DruidResponse
from gateway.druid.memory_budget import MemoryLease
from gateway.query.compile import DruidQuery
from gateway.telemetry.tracing import stage, tell
from gateway.web.cache_fields import wants_fresh
from gateway.web.context import CONTEXT
from gateway.web.cpu_budget import metered

DRUID_QUERY: Final = "druid_query_id"
"""The log field with the id of the report's query in Druid."""
_PARSE_SECONDS_PER_BYTE: Final = 2e-9
"""CPU time for parsing Druid's response, per byte of memory that its rows occupy."""


@dataclass(frozen=True, slots=True)
class Results:
    """Druid's responses by the names of their queries. Their memory is leased until the response is sent."""

    responses: Mapping[str, DruidResponse]

    def cover_encoded(self, size: int) -> None:
        """Cover so many bytes beside the rows: the part of the body that is encoded. Raises MemoryExhausted."""
        next(iter(self.responses.values())).lease.cover_beside(size)

    def keep_only(self, size: int) -> MemoryLease:
        """Replace the leases of Druid's rows by one for `size` bytes: the encoded body. The rows are not used again."""
        first, *others = (response.lease for response in self.responses.values())
        for lease in others:
            lease.release()
        first.resize(size)
        return first


async def run_queries(
    request: web.Request, queries: Mapping[str, DruidQuery], deadline: float, *, heavy: bool
) -> Results:
    """Run a request's queries at the same time. If one fails or is cancelled, so are the others."""
    context, fresh = request[CONTEXT], wants_fresh(request)
    druid = context.services.druid

    def run(name: str) -> Coroutine[Any, Any, DruidResponse]:
        return druid.run(queries[name], f"{context.request_id}-{name}", deadline, heavy=heavy, fresh=fresh)

    responses: dict[str, DruidResponse] = {}
    began, first = asyncio.get_running_loop().time(), next(iter(queries))
    with stage("ask"):
        try:
            if len(queries) == 1:
                # The usual case. A task group and a task would cost more than this function does.
                responses[first] = await run(first)
            else:
                responses |= await _run_together({name: metered(run(name), context) for name in queries})
            tell({DRUID_QUERY_ID: responses[first].query_id})
        finally:
            _note_druid(request, first, responses, began)
    for response in responses.values():
        context.leases.append(response.lease)
        # By its size: the parsing, which coalesced requests share.
        context.cpu_seconds += response.lease.size * _PARSE_SECONDS_PER_BYTE
    return Results(responses)


async def _run_together(runs: Mapping[str, Coroutine[Any, Any, DruidResponse]]) -> Mapping[str, DruidResponse]:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(run) for name, run in runs.items()}
    except ExceptionGroup as errors:
        # Not except*: it would raise a group again, which would become a 500.
        raise errors.exceptions[0] from None
    return {name: task.result() for name, task in tasks.items()}


def _note_druid(request: web.Request, name: str, responses: Mapping[str, DruidResponse], began: float) -> None:
    """Count the time until the last of the responses arrived. There are none if a query failed."""
    context = request[CONTEXT]
    arrived = max((response.received_at for response in responses.values()), default=None)
    # The response to a coalesced query may have arrived before this request joined it.
    seconds = max(0.0, (asyncio.get_running_loop().time() if arrived is None else arrived) - began)
    context.timer.add_wait(seconds)
    context.services.instruments.of_requests(context.data_set).druid_seconds.observe(seconds)
    # The query of a coalesced request is another request's.
    query_id = responses[name].query_id if responses else f"{context.request_id}-{name}"
    context.log_fields |= {DRUID_QUERY: query_id, "druid_ms": round(seconds * 1000, 3)}
    if responses:
        context.log_fields["rows_from"] = responses[name].origin
