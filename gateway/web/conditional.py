"""Conditional requests (RFC 9110, section 13): whether a caller already has the response to a link or to QUERY."""

from collections.abc import Collection, Mapping
from hashlib import blake2b
from importlib.metadata import version
from typing import Final

import orjson
from aiohttp import web

from gateway.druid.chain import DruidResponse
from gateway.query.compile import DruidQuery
from gateway.query.respond import Answer
from gateway.query.zones import TZDATA_VERSION
from gateway.web.compression import CODINGS
from gateway.web.response_format import WantedResponse

_RELEASE: Final = (version("druid-gateway"), TZDATA_VERSION)
_REVALIDATE: Final = "private, no-cache"
"""Only the caller may store the response, and asks the gateway before using it again."""
_CACHEABLE: Final = frozenset({"GET", "HEAD", "QUERY"})


def etag_of(
    request: web.Request,
    wanted: WantedResponse,
    answer: Answer,
    queries: Mapping[str, DruidQuery],
    responses: Collection[DruidResponse],
) -> str | None:
    """Return what identifies the response's content, without quotes; None if nothing does.

    It depends on everything that the content depends on: the report, the queries, the segments that they read, the
    format and this release. Rows that are not in segments yet have no version, so that a response with such rows has no
    ETag.
    """
    versions = [response.version for response in responses]
    if request.method not in _CACHEABLE or None in versions:
        return None
    columns = [[column.name, column.kind, column.type.value, column.zone] for column in answer.columns]
    natives = [{**query.native, "context": None} for query in queries.values()]
    # The queries alone do not tell: the gateway itself orders, fills and limits some answers.
    report = answer.report.to_json()
    facts = [_RELEASE, wanted.name, report, columns, answer.members({}), natives, versions]
    return blake2b(orjson.dumps(facts), digest_size=16).hexdigest()


def known_tag(request: web.Request, etag: str | None) -> str | None:
    """Return the ETag in If-None-Match that names this content, in whichever coding; None if there is none."""
    if etag is None or "If-None-Match" not in request.headers:
        return None
    ours = {_quoted(etag, coding) for coding in (None, *CODINGS)}
    for each in ",".join(request.headers.getall("If-None-Match")).split(","):
        tag = each.strip().removeprefix("W/")
        if tag == "*":
            return _quoted(etag)
        if tag in ours:
            return tag
    return None


def not_modified(tag: str, headers: Mapping[str, str]) -> web.Response:
    """Return the response to a caller who already has the content."""
    return web.Response(status=304, headers={**headers, "ETag": tag, "Cache-Control": _REVALIDATE})


def mark_cacheable(response: web.Response, etag: str | None) -> None:
    """Let the caller store the response if it has an ETag. Each coding has an ETag of its own."""
    if etag is not None:
        coding = response.headers.get("Content-Encoding")
        response.headers["ETag"] = _quoted(etag, coding)
        response.headers["Cache-Control"] = _REVALIDATE


def _quoted(etag: str, coding: str | None = None) -> str:
    return f'"{etag}-{coding}"' if coding else f'"{etag}"'
