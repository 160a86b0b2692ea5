"""Parsing Druid's responses, which may be many megabytes long, in slices between which other tasks run.

A slice ends where one row seems to end and the next to begin. If that is inside a string, it is not tried. If it is
inside a nested array, the slice does not parse, so that a wrong cut is always noticed and the next one is tried.
"""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import orjson

SLICE = 256 * 1024
"""Bytes parsed at a time: about three milliseconds."""
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+"', re.DOTALL)
_CUTS = 8
"""Places tried as the end of a slice before more of the response is awaited."""


async def parse_rows(raw: bytes | bytearray) -> list[Any]:
    """Return the rows of a JSON array of arrays or objects. Raises ValueError if it is not complete."""
    if len(raw) <= SLICE:
        return _array(raw)
    # Not strip(), which would copy everything.
    start, last = raw.find(b"["), raw.rfind(b"]")
    if start < 0 or last < start or raw[:start].strip() or raw[last + 1 :].strip():
        raise ValueError("not an array, or not all of it")
    start += 1
    border = b"],[" if raw.startswith(b"[", start) else b"},{"
    rows: list[Any] = []
    while start < last:
        end = _cut(raw, border, start, start + SLICE, last)
        while True:
            await asyncio.sleep(0)
            try:
                rows += _array(b"".join((b"[", raw[start:end], b"]")))
                break
            except ValueError:
                if end == last:
                    raise
            # It was between two arrays or objects within a row.
            end = _cut(raw, border, start, end, last)
        start = end + 1
    return rows


async def parse_stream(chunks: AsyncIterable[bytes]) -> AsyncIterator[list[Any]]:
    """Yield the objects of a JSON array while it arrives, a slice at a time, so that it is never in memory as a whole.

    Raises ValueError if it is not complete.
    """
    buffer = bytearray()
    wanted = SLICE
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) < wanted:
            continue
        rows, end = _first_rows(buffer)
        if rows:
            yield rows
            # The comma between two rows becomes the bracket that opens the rest.
            del buffer[:end]
            buffer[0:1] = b"["
            wanted = SLICE
            await asyncio.sleep(0)
        else:
            wanted = 2 * len(buffer)
    if rest := _array(buffer):
        yield rest


def _first_rows(buffer: bytearray) -> tuple[list[Any], int]:
    """Return the rows up to the last cut that parses, and its position."""
    end = len(buffer)
    for _ in range(_CUTS):
        found = buffer.rfind(b"},{", 0, end)
        if found < 0:
            break
        try:
            return _array(bytes(buffer[: found + 1]) + b"]"), found + 1
        except ValueError:
            end = found + 2
    return [], 0


def _cut(body: bytes | bytearray, border: bytes, start: int, near: int, last: int) -> int:
    """Return the position of the comma in the first border after `near` that is not within a string, or the end.

    `start` is not within a string.
    """
    while (found := body.find(border, near, last)) >= 0:
        if _quotes(body, start, found) % 2 == 0:
            return found + 1
        rest = _REST_OF_STRING.match(body, found, last)
        if rest is None:
            break
        start = near = rest.end()
    return last


def _quotes(body: bytes | bytearray, start: int, end: int) -> int:
    """Return how many quotes there are that begin or end a string."""
    count = body.count(b'"', start, end)
    if body.find(b"\\", start, end) >= 0:
        count -= _ESCAPE.findall(body, start, end).count(b'\\"')
    return count


def _array(raw: bytes | bytearray) -> list[Any]:
    rows = orjson.loads(raw)
    if not isinstance(rows, list):
        raise ValueError("not an array")  # noqa: TRY004 - the same error as for text that is not JSON
    return rows
