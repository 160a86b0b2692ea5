"""Requests that violate HTTP or use a part of it that the gateway does not support, answered as problem+json."""

from http import HTTPStatus
from uuid import uuid4

import structlog
from aiohttp import web

from gateway.telemetry.instruments import NO_DATA_SET, Instruments
from gateway.web.problem_details import code_of, problem
from gateway.web.request_body import EXPECTATION

_log = structlog.get_logger(__name__)


def refuse_unsupported(request: web.Request) -> None:
    """Raise the HTTP error for an expectation, a content coding or a transfer coding that the gateway does not support.

    Compressed bodies are refused because inflating them would stall the event loop.
    """
    if request.get(EXPECTATION, "100-continue") != "100-continue":
        raise web.HTTPExpectationFailed
    if _elements(request, "Transfer-Encoding") not in ([], ["chunked"]):
        raise web.HTTPNotImplemented
    if set(_elements(request, "Content-Encoding")) - {"identity"}:
        raise web.HTTPUnsupportedMediaType(headers={"Accept-Encoding": "identity"})


def _elements(request: web.Request, name: str) -> list[str]:
    """Return the elements of a header field that is a list; most requests do not have the field."""
    if name not in request.headers:
        return []
    lines = ",".join(request.headers.getall(name))
    return [element.strip().lower() for element in lines.split(",") if element.strip()]


def malformed(
    request: web.BaseRequest, status: int, error: BaseException | None, instruments: Instruments
) -> web.StreamResponse:
    """Return the response to bytes that are not an HTTP request.

    Neither the response nor the log quotes them: they may contain credentials.
    """
    request_id = uuid4().hex
    _log.warning("malformed_request", address=request.remote, error=type(error).__name__, request_id=request_id)
    if request.writer.output_size > 0:
        raise ConnectionError("a response has already begun")
    code = code_of(HTTPStatus(status))
    instruments.requests.labels(NO_DATA_SET, str(status), code).inc()
    response = problem(HTTPStatus(status), "The request is not a valid HTTP request.", request_id)
    response.force_close()
    return response
