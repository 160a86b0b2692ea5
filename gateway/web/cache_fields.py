"""HTTP's fields about caches: whether a caller wants a new response, and where a response comes from.

`Age` and `Cache-Control` are those of RFC 9111, `Cache-Status` is that of RFC 9211.
"""

import asyncio
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web

from gateway.druid.chain import DruidResponse, Origin

_STATUS: Final[Mapping[Origin, str]] = MappingProxyType(
    {
        # The response with most of Druid's work in it comes first: it describes all of a report's queries.
        "druid": "gateway; fwd=miss",
        "shared": "gateway; fwd=miss; collapsed",
        "confirmed": "gateway; fwd=stale; fwd-status=304",
        "memory": "gateway; hit",
    }
)
_FRESH: Final = "gateway; fwd=request"


def wants_fresh(request: web.Request) -> bool:
    """Whether the caller wants Druid to compute the response, for this request alone."""
    if "Cache-Control" not in request.headers:
        return False
    directives = ",".join(request.headers.getall("Cache-Control"))
    return any(each.strip().lower() == "no-cache" for each in directives.split(","))


def cache_fields(request: web.Request, responses: Collection[DruidResponse]) -> Mapping[str, str]:
    """Return the header fields for a response that was made from these responses of Druid."""
    if wants_fresh(request):
        return {"Cache-Status": _FRESH}
    origins = {response.origin for response in responses}
    fields = {"Cache-Status": next(status for origin, status in _STATUS.items() if origin in origins)}
    older = [response.sent_at for response in responses if response.origin in ("memory", "shared")]
    return fields if not older else fields | _age(min(older))


def fields_from_memory(sent_at: float) -> Mapping[str, str]:
    """Return the header fields for a response that was stored, of this age."""
    return {"Cache-Status": _STATUS["memory"], **_age(sent_at)}


def _age(sent_at: float) -> dict[str, str]:
    return {"Age": str(int(asyncio.get_running_loop().time() - sent_at))}
