"""Response formats: one table entry for each."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import orjson
from aiohttp import web

from gateway.query.advice import ReportWarning
from gateway.query.literals import Json
from gateway.query.respond import Answer, Slice

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A complete response body and how many rows it has."""

    body: bytes
    rows: int


async def _encode_json(answer: Answer) -> Encoded:
    fields = [{"name": name, "type": kind} for name, kind in answer.fields]
    parts = [b'{"fields":', orjson.dumps(fields), b',"data":']
    warnings = dict.fromkeys(answer.advice)
    count = await _encode_rows(answer.slices(), parts, warnings)
    if answer.has_other:
        parts.append(b',"other":')
        count += await _encode_rows(answer.other_slices(), parts, warnings)
    if answer.totals is not None:
        parts += [b',"totals":', orjson.dumps(answer.totals.rows[0])]
        warnings |= dict.fromkeys(answer.totals.warnings)
    for name, member in answer.members.items():
        parts += [b',"', name.encode(), b'":', orjson.dumps(member)]
    if warnings:
        parts += [b',"warnings":', orjson.dumps([*warnings])]
    parts.append(b"}")
    return Encoded(b"".join(parts), count)


async def _encode_rows(slices: Iterator[Slice], parts: list[bytes], warnings: dict[ReportWarning, None]) -> int:
    """Add an array of the rows to the parts, and return how many there are."""
    parts.append(b"[")
    count = 0
    for each in slices:
        if each.rows:
            parts += [b"," if count else b"", orjson.dumps(each.rows)[1:-1]]
        warnings |= dict.fromkeys(each.warnings)
        count += len(each.rows)
        # Other requests run between two slices.
        await asyncio.sleep(0)
    parts.append(b"]")
    return count


ENCODERS: Mapping[str, Callable[[Answer], Awaitable[Encoded]]] = MappingProxyType({JSON: _encode_json})
"""The encoder of each media type. The whole body is encoded before any of it is sent: encoding may still fail."""


def json_response(body: Json) -> web.Response:
    """Return a small JSON document as a response."""
    return web.Response(body=orjson.dumps(body), content_type=JSON)
