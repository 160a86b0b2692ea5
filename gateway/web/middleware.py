"""What every request passes through: its id, its log line, and the one place where an error becomes an answer."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from http import HTTPStatus
from time import perf_counter
from typing import Any
from uuid import uuid4

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.contextvars import bind_contextvars, clear_contextvars

from gateway.errors import GatewayError, InternalError
from gateway.telemetry.tracing import tell, tell_answer
from gateway.web.metrics import NO_DATA_SET, Metrics
from gateway.web.rate_limit import Quota, Refusals

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
QUOTA: web.RequestKey[Quota] = web.RequestKey("quota", Quota)
DATA_SET: web.RequestKey[str] = web.RequestKey("data_set", str)
ELSEWHERE: web.RequestKey[float] = web.RequestKey("elsewhere", float)
"""Seconds that the request was not here: waiting for its caller's body, or for Druid."""
METRICS = web.AppKey("metrics", Metrics)
REFUSALS = web.AppKey("refusals", Refusals)
UNTIL_SENT: web.RequestKey[ExitStack] = web.RequestKey("until_sent", ExitStack)
"""Closed when the caller has the whole answer, or has none and never will."""
RUNNING: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("running", set)
LARGE = 65_536
TAKING_SECONDS = 30.0
TAKING_BYTES_A_SECOND = 65_536
"""How slowly a caller may take an answer: this many seconds, and one more for each so many bytes."""
PROBLEM_JSON = "application/problem+json"

log = structlog.get_logger(__name__)


@web.middleware
async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, answer it or say what is wrong as problem+json (RFC 9457), log how it went, send it."""
    with ExitStack() as until_sent:
        request[UNTIL_SENT] = until_sent
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler runs in one
        request.app[RUNNING].add(task)
        until_sent.callback(request.app[RUNNING].discard, task)
        response = await _answer(request, handler)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            await request.app[REFUSALS].turn()
        await _send(request, response)
    return response


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    started = perf_counter()
    request_id = request[REQUEST_ID] = uuid4().hex
    metrics = request.app[METRICS]
    clear_contextvars()
    bind_contextvars(request_id=request_id)
    tell({"gateway.request_id": request_id})
    code = None
    try:
        response = await handler(request)
    except GatewayError as error:
        code, response = error.code, _problem(error, request_id)
    except web.HTTPException as error:
        code, response = _of_aiohttp(error, request_id)
    except asyncio.CancelledError:
        log.info("request_abandoned", method=request.method, ms=_since(started))
        metrics.abandoned[(request.get(DATA_SET, NO_DATA_SET),)] += 1
        raise
    except Exception:
        log.exception("request_failed")
        unforeseen = InternalError("Something went wrong here. The request id leads to it in the logs.")
        code, response = unforeseen.code, _problem(unforeseen, request_id)
    response.headers["X-Request-Id"] = request_id
    response.headers["Server"] = "gateway"
    if QUOTA in request:
        for name, value in request[QUOTA].headers().items():
            # What refused the request says more than what did not.
            response.headers.setdefault(name, value)
    log.info("request_finished", method=request.method, status=response.status, code=code, ms=_since(started))
    took, data_set = perf_counter() - started, request.get(DATA_SET, NO_DATA_SET)
    tell_answer(response.status, code)
    metrics.count(response.status, code, data_set=data_set)
    metrics.seconds.note(data_set, took)
    metrics.own_seconds.note(data_set, took - request.get(ELSEWHERE, 0.0))
    return response


async def _send(request: web.Request, response: web.StreamResponse) -> None:
    """Send the answer, and give up on a caller who takes it too slowly: until then it is kept in memory."""
    size = response.content_length or 0
    seconds = TAKING_SECONDS + size / TAKING_BYTES_A_SECOND
    transport = request.transport
    if transport is None:
        return
    # Sent is what the kernel has: what waits in a buffer of ours could wait there forever.
    transport.set_write_buffer_limits(high=0)
    try:
        async with asyncio.timeout(seconds):
            writer = await response.prepare(request)
            if writer is not None and size > LARGE:
                # Otherwise header and body become one text, which is a copy of the body.
                writer.send_headers()
            await response.write_eof()
    except (TimeoutError, ConnectionError, asyncio.CancelledError) as error:
        log.info("answer_not_taken", reason=type(error).__name__, size=size)
        request.app[METRICS].abandoned[(request.get(DATA_SET, NO_DATA_SET),)] += 1
        transport.abort()
        if isinstance(error, asyncio.CancelledError):
            raise


def _since(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)


def _problem(error: GatewayError, request_id: str) -> web.Response:
    body: dict[str, object] = _members(error.status, error.code, error.title, error.detail, request_id)
    if error.problems:
        body["errors"] = [{"pointer": each.pointer, "message": each.message} for each in error.problems]
    return web.Response(
        status=error.status, body=orjson.dumps(body), content_type=PROBLEM_JSON, headers=dict(error.headers)
    )


def _of_aiohttp(error: web.HTTPException, request_id: str) -> tuple[str, web.Response]:
    """Give aiohttp's own refusals (no such path, wrong method, body too large) the form of all others."""
    status = HTTPStatus(error.status)
    headers = {name: error.headers[name] for name in ("Allow", "Location") if name in error.headers}
    response = problem(status, _DETAILS.get(error.status, f"{status.phrase}."), request_id, headers)
    return code_of(status), response


def problem(
    status: HTTPStatus, detail: str, request_id: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return problem+json for a status that says everything by itself."""
    request_id = request_id or uuid4().hex
    body = _members(status, code_of(status), status.phrase, detail, request_id)
    headers = {**(headers or {}), "X-Request-Id": request_id, "Server": "gateway"}
    return web.Response(status=status, body=orjson.dumps(body), content_type=PROBLEM_JSON, headers=headers)


def code_of(status: HTTPStatus) -> str:
    """Return the code of an error that a status says everything of."""
    return status.phrase.lower().replace(" ", "_")


_DETAILS = {
    404: "There is nothing here. Reports are asked with POST /api/reporting/v1/orgs/<organization_id>/<data set>.",
    405: "This path does not take this method; the header Allow lists those that it takes.",
    413: "The body is larger than a report may be.",
}


def _members(status: int, code: str, title: str, detail: str, request_id: str) -> dict[str, object]:
    return {
        "type": f"urn:druid-gateway:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
