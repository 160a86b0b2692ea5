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
from gateway.query.respond import Answer, Columns
from gateway.web.arrow_encoder import ArrowEncoder
from gateway.web.csv_encoder import CsvEncoder, SpreadsheetEncoder
from gateway.web.json_encoders import JsonEncoder, JsonLinesEncoder

JSON: Final = "application/json"

_LARGEST_JOIN: Final = 1 << 20
"""Bytes that are joined in the event loop. More are joined in a thread: from there on, bytes.join releases the GIL."""
_PAUSE_EVERY: Final = 0.002
"""Seconds of encoding after which other requests run. One slice of an answer takes about three milliseconds."""
_PIECE: Final = 1 << 18
"""Bytes that are encoded at a time: at most three milliseconds. A slice with long texts has more."""
_FIRST_ROWS: Final = 50
"""Rows that are encoded first, to find out how long they are."""


class Encoder(Protocol):
    """Encodes one answer, piece by piece."""

    def head(self) -> bytes:
        """Return what precedes the rows."""

    def rows(self, columns: Columns) -> bytes:
        """Return the next rows, of which there is at least one."""

    def other(self, columns: Columns) -> bytes:
        """Return the next rows of `other`, of which there is at least one. They follow all other rows."""

    def tail(self, members: Json) -> bytes:
        """Return what follows the rows. `members` is what the answer has beside them, `other` without its rows."""


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
    count, size, at_once, pause = 0, 0, _FIRST_ROWS, monotonic() + _PAUSE_EVERY

    async def let_others_run() -> None:
        nonlocal pause
        if monotonic() >= pause:
            # They may encode as much.
            account(size)
            await asyncio.sleep(0)
            pause = monotonic() + _PAUSE_EVERY

    for each in answer.slices():
        warnings |= dict.fromkeys(each.warnings)
        start = 0
        while start < each.count:
            columns = each.columns
            if start or each.count > at_once:
                columns = [values[start : start + at_once] for values in columns]
            parts.append(encoder.rows(columns))
            start += at_once
            at_once = 1 + _PIECE * len(columns[0]) // len(parts[-1])
            count, size = count + len(columns[0]), size + len(parts[-1])
            await let_others_run()
        await let_others_run()
    # Also if there were no slices: Druid's rows were looked through.
    await let_others_run()
    for each in answer.other_slices() if answer.has_other else ():
        warnings |= dict.fromkeys(each.warnings)
        if each.count:
            parts.append(encoder.other(each.columns))
            size += len(parts[-1])
        await let_others_run()
    members = answer.members(warnings)
    parts.append(encoder.tail(members))
    body = b"".join(parts) if size <= _LARGEST_JOIN else await asyncio.to_thread(b"".join, parts)
    return Encoded(body, count, () if form.has_members else tuple(members))


def json_response(body: Json) -> web.Response:
    """Return a small JSON document as a response."""
    return web.Response(body=orjson.dumps(body), content_type=JSON)
