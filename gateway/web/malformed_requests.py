"""What aiohttp answers by itself, before any handler or middleware is asked, in the form of all other errors."""

from functools import partial
from http import HTTPStatus
from uuid import uuid4

import structlog
from aiohttp import HttpVersion11, web

from gateway.web.metrics import Metrics
from gateway.web.middleware import METRICS, code_of, problem

log = structlog.get_logger(__name__)


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Let a caller who asks first send its body; what else one may expect is 417 (RFC 9110, section 10.1.1)."""
    if request.headers["Expect"].lower() != "100-continue":
        status = HTTPStatus.EXPECTATION_FAILED
        request.app[METRICS].count(status, code_of(status))
        return problem(status, "The only expectation that can be met is 100-continue.")
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The answer itself has not begun.
        request.writer.output_size = 0
    return None


def _answer_malformed(
    metrics: Metrics,
    request: web.BaseRequest,
    status: int = 500,
    exc: BaseException | None = None,
    message: str | None = None,
) -> web.StreamResponse:
    """Answer what is no HTTP request. Neither the answer nor the log quotes it: credentials may stand in it."""
    del message
    request_id = uuid4().hex
    log.warning("malformed_request", address=request.remote, error=type(exc).__name__, request_id=request_id)
    if request.writer.output_size > 0:
        raise ConnectionError("an answer has begun already")
    metrics.count(status, code_of(HTTPStatus(status)))
    response = problem(HTTPStatus(status), "This is no HTTP request that can be understood.", request_id)
    response.force_close()
    return response


def answer_malformed_requests(metrics: Metrics) -> None:
    """Have every server of this process answer malformed requests so, and count them here.

    aiohttp offers no other place for it: its runner makes its protocol itself.
    """
    answer = partial(_answer_malformed, metrics)
    web.RequestHandler.handle_error = lambda _, *refused: answer(*refused)  # type: ignore[method-assign]
