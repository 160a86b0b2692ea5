"""Response formats: one entry in FORMATS for each."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from types import MappingProxyType
from typing import Final, Protocol

import orjson
from aiohttp import web

from gateway.query.advice import ReportWarning
from gateway.query.columns import Column
from gateway.query.literals import Json
from gateway.query.respond import Answer, Columns, Row
from gateway.web.arrow_encoder import ArrowEncoder
from gateway.web.csv_encoder import CsvEncoder, SpreadsheetEncoder
from gateway.web.json_encoders import JsonEncoder, JsonLinesEncoder

JSON: Final = "application/json"

_PAUSE_EVERY: Final = 0.002
"""Seconds of encoding after which other requests run. One slice of an answer takes about three milliseconds."""


class Encoder(Protocol):
    """Encodes one answer, piece by piece."""

    def head(self) -> bytes:
        """Return what precedes the rows."""

    def rows(self, columns: Columns) -> bytes:
        """Return the next rows, of which there is at least one."""

    def tail(self, members: Json) -> bytes:
        """Return what follows the rows. `members` is what the answer has beside them."""


@dataclass(frozen=True, slots=True)
class Format:
    """A response format.

    `media_type` is compared with the header Accept; `parameters` complete it in Content-Type. `has_members` is whether
    a response contains more than the rows, such as totals. `suffix` is the end of a downloaded file's name; a format
    without one is not offered as a download.
    """

    media_type: str
    encoder: Callable[[Sequence[Column]], Encoder]
    parameters: str = ""
    has_members: bool = False
    suffix: str | None = None


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "json": Format(JSON, JsonEncoder, has_members=True),
        "csv": Format("text/csv", CsvEncoder, "; charset=utf-8; header=present", suffix="csv"),
        "ndjson": Format("application/x-ndjson", JsonLinesEncoder, suffix="ndjson"),
        "arrow": Format("application/vnd.apache.arrow.stream", ArrowEncoder, suffix="arrows"),
        "spreadsheet": Format("text/csv", SpreadsheetEncoder, "; charset=utf-8; header=present", suffix="csv"),
    }
)
"""The formats by their names in the query parameter `format`. Of equally acceptable ones, the first is used."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A complete response body, how many rows it has, and which members of the answer its format omits."""

    body: bytes
    rows: int
    omitted: tuple[str, ...]


async def encode(answer: Answer, form: Format, account: Callable[[int], None]) -> Encoded:
    """Encode the whole answer before any of it is sent: encoding may still fail.

    `account` is called with the number of bytes so far whenever other requests are about to run, and may raise.
    """
    encoder = form.encoder(answer.columns)
    parts = [encoder.head()]
    warnings: dict[ReportWarning, None] = {}
    count, size, pause = 0, 0, monotonic() + _PAUSE_EVERY
    for each in answer.slices():
        if each.columns:
            parts.append(encoder.rows(each.columns))
            size += len(parts[-1])
        warnings |= dict.fromkeys(each.warnings)
        count += each.count
        if monotonic() >= pause:
            # Other requests run meanwhile, and may encode as much.
            account(size)
            await asyncio.sleep(0)
            pause = monotonic() + _PAUSE_EVERY
    other: list[Row] = []
    if answer.has_other:
        for each in answer.other_slices():
            other += each.rows
            warnings |= dict.fromkeys(each.warnings)
            await asyncio.sleep(0)
    members = answer.members(warnings, other)
    parts.append(encoder.tail(members))
    return Encoded(b"".join(parts), count, () if form.has_members else tuple(members))


def json_response(body: Json) -> web.Response:
    """Return a small JSON document as a response."""
    return web.Response(body=orjson.dumps(body), content_type=JSON)
