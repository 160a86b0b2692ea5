"""Headers of every response: security headers, and those that let web pages of other origins read it (CORS).

A page can send the Authorization header only if it knows a credential. There are no cookies, so a page gains nothing
from a visitor's browser, and any origin may read responses unless the setting restricts it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from functools import cache
from typing import Final

from aiohttp import web

from gateway.catalog.model import Deprecation

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Server": "gateway",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""A response is data: no browser may run, embed or guess it."""

_ANY: Final = "*"
_EXPOSED: Final = (
    "Age, Allow, Cache-Status, Content-Disposition, Deprecation, ETag, Link, Omitted-Members, RateLimit, "
    "RateLimit-Policy, Retry-After, Sunset, WWW-Authenticate, X-Request-Id"
)
"""The headers that a page may read beside the ones that every page may read."""
_REQUESTED: Final = "Accept, Authorization, Cache-Control, Content-Type, If-None-Match, Prefer, traceparent, tracestate"
"""The headers that a page may send."""
_PREFLIGHT_SECONDS: Final = 7_200
"""How long a browser remembers the response to a preflight request; browsers allow at most this."""


class ResponseHeaders:
    """Completes responses for these origins: `*` for any, or a list, which may be empty."""

    def __init__(self, cors_origins: Iterable[str]) -> None:
        self._origins = frozenset(cors_origins)
        self._always = dict(SECURITY_HEADERS)
        if _ANY in self._origins:
            self._always |= {"Access-Control-Allow-Origin": _ANY, "Access-Control-Expose-Headers": _EXPOSED}

    def complete(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers that every response has."""
        headers = response.headers
        for name, value in self._always.items():
            # A page that people read has a policy of its own.
            headers.setdefault(name, value)
        # Whatever is not meant to be stored says so, errors included.
        headers.setdefault("Cache-Control", "no-store")
        if self._origins and _ANY not in self._origins:
            headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
            origin = request.headers.get("Origin")
            if origin in self._origins:
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = _EXPOSED


@cache
def deprecation_headers(deprecation: Deprecation) -> Sequence[tuple[str, str]]:
    """Return the headers that announce the end of a data set: RFC 9745 and, for the day, RFC 8594."""
    headers = [("Deprecation", f"@{int(_midnight(deprecation.since).timestamp())}")]
    if deprecation.sunset is not None:
        headers.append(("Sunset", format_datetime(_midnight(deprecation.sunset), usegmt=True)))
    if deprecation.link is not None:
        headers.append(("Link", f'<{deprecation.link}>; rel="deprecation"'))
    return headers


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


async def options(request: web.Request) -> web.Response:
    """OPTIONS of any path: what it supports, also for a browser's preflight request, which has no credential."""
    resource = request.match_info.route.resource
    methods = ", ".join(sorted({route.method for route in resource or ()}))
    headers = {"Allow": methods}
    if "Access-Control-Request-Method" in request.headers:
        headers |= {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": _REQUESTED,
            "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        }
    return web.Response(status=204, headers=headers)
