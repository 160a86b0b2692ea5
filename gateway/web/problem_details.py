"""Error responses as problem+json (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from uuid import uuid4

import orjson
from aiohttp import web

from gateway.errors import GatewayError
from gateway.web.response_headers import SECURITY_HEADERS

PROBLEM_JSON: Final = "application/problem+json"

_DETAILS: Mapping[int, str] = MappingProxyType(
    {
        400: "The body's framing is malformed.",
        413: "The body is larger than the limit for reports.",
        415: "Compressed bodies are not supported. Send the body without a content coding.",
        417: "The only supported expectation is 100-continue.",
        501: "The only supported transfer coding is chunked.",
    }
)
_CLOSING: Final = frozenset({415, 417, 501})
"""The gateway did not understand the request as a whole, so that it does not read on behind it."""
_FORWARDED_HEADERS: Final = ("Accept-Encoding", "Allow", "Location")


def problem_of(error: GatewayError, request_id: str) -> web.Response:
    """Return the response for an error of the gateway."""
    body: dict[str, object] = _members(error.status, error.code, error.title, error.detail, request_id)
    if error.problems:
        body["errors"] = [{"pointer": each.pointer, "message": each.message} for each in error.problems]
    return web.Response(
        status=error.status, body=orjson.dumps(body), content_type=PROBLEM_JSON, headers=dict(error.headers)
    )


def problem_of_aiohttp(error: web.HTTPException, request_id: str, detail: str | None) -> web.Response:
    """Return the response for an error that aiohttp's exceptions describe: no such path, body too large."""
    status = HTTPStatus(error.status)
    headers = {name: error.headers[name] for name in _FORWARDED_HEADERS if name in error.headers}
    response = problem(status, detail or _DETAILS.get(error.status, f"{status.phrase}."), request_id, headers)
    if error.status in _CLOSING:
        response.force_close()
    return response


def problem(
    status: HTTPStatus, detail: str, request_id: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return the response for a status that needs no further explanation than `detail`."""
    request_id = request_id or uuid4().hex
    body = _members(status, code_of(status), status.phrase, detail, request_id)
    headers = {**SECURITY_HEADERS, **(headers or {}), "X-Request-Id": request_id}
    return web.Response(status=status, body=orjson.dumps(body), content_type=PROBLEM_JSON, headers=headers)


def code_of(status: HTTPStatus) -> str:
    """Return the error code of a plain HTTP status: its phrase in snake case."""
    return status.phrase.lower().replace(" ", "_")


def _members(status: int, code: str, title: str, detail: str, request_id: str) -> dict[str, object]:
    return {
        "type": f"urn:druid-gateway:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
