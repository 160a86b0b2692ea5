"""The outermost layer of every request: its id, its log line, and the one place where an error becomes a response."""

import asyncio
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import GatewayError, InternalError
from gateway.telemetry.log_context import begin_log_context
from gateway.telemetry.tracing import record_response, tell
from gateway.web.client_address import address_of_request
from gateway.web.context import CONTEXT, SERVICES, RequestContext
from gateway.web.cpu_budget import metered
from gateway.web.malformed_requests import refuse_unsupported
from gateway.web.problem_details import code_of, problem_of, problem_of_aiohttp
from gateway.web.slow_clients import close_unread, drop_body, send

_log = structlog.get_logger(__name__)


@web.middleware
async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Create the request's context, respond, and send the response."""
    services, task = request.app[SERVICES], asyncio.current_task()
    assert task is not None  # noqa: S101 - aiohttp runs each request in a task
    context = request[CONTEXT] = RequestContext(services)
    services.running.add(task)
    try:
        try:
            response = await metered(_respond(request, handler, context), context)
        finally:
            if context.organization_id is not None:
                services.cpu_budget.charge(context.organization_id, context.cpu_seconds)
        if not request.content.at_eof():
            drop_body(request)
        if response.status == 429:
            caller = context.organization_id or address_of_request(request, services.settings.trusted_proxies)
            await services.refusal_pacer.wait(caller)
        try:
            was_read = await send(request, response)
        except asyncio.CancelledError:
            services.instruments.of_requests(context.data_set).abandoned.inc()
            raise
        if not was_read:
            services.instruments.of_requests(context.data_set).abandoned.inc()
    finally:
        services.running.discard(task)
        for lease in context.leases:
            lease.release()
    await close_unread(request)
    return response


async def _respond(request: web.Request, handler: Handler, context: RequestContext) -> web.StreamResponse:
    """Return the handler's response, or the one that its error stands for (RFC 9457)."""
    # aiohttp runs each request in a task of its own, so that the log context ends with it.
    begin_log_context(request_id=context.request_id)
    tell({"gateway.request_id": context.request_id})
    code = None
    try:
        refuse_unsupported(request)
        response = await handler(request)
    except GatewayError as error:
        code, response = error.code, problem_of(error, context.request_id)
    except web.HTTPException as error:
        detail = context.services.path_advice.detail(request, error)
        code, response = code_of(HTTPStatus(error.status)), problem_of_aiohttp(error, context.request_id, detail)
    except asyncio.CancelledError:
        _note_abandoned(request.method, context)
        raise
    except Exception as error:
        if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            # The caller disconnected while the gateway wrote to it or read from it.
            _note_abandoned(request.method, context)
            raise
        _log.exception("request_failed")
        unforeseen = InternalError("An unexpected error occurred. The request id identifies it in the logs.")
        code, response = unforeseen.code, problem_of(unforeseen, context.request_id)
    _finish(request, response, code, context)
    return response


def _note_abandoned(method: str, context: RequestContext) -> None:
    _log.info("request_abandoned", method=method, ms=_milliseconds(context.timer.elapsed))
    context.services.instruments.of_requests(context.data_set).abandoned.inc()


def _finish(request: web.Request, response: web.StreamResponse, code: str | None, context: RequestContext) -> None:
    """Complete the response's headers, log and count it."""
    response.headers["X-Request-Id"] = context.request_id
    for name, value in context.headers:
        response.headers.add(name, value)
    context.services.response_headers.complete(request, response)
    if context.quota is not None and "RateLimit" not in response.headers:
        # An error that has these headers describes the limit that refused the request.
        response.headers.update(context.quota.headers())
    if not request.content.is_eof() or context.services.stopping.is_set():
        # If the body was refused, it is not read, and nothing behind it is.
        response.force_close()
    elapsed, own = context.timer.elapsed, context.timer.own
    _log.info(
        "request_finished",
        method=request.method,
        status=response.status,
        code=code,
        ms=_milliseconds(elapsed),
        **context.log_fields,
    )
    record_response(response.status, code)
    of_requests = context.services.instruments.of_requests(context.data_set)
    of_requests.answered(response.status, code or "").inc()
    of_requests.seconds.observe(elapsed)
    of_requests.own_seconds.observe(own)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
