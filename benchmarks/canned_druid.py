"""A stand-in for Druid that answers every query at once, with made-up rows of the right shape.

In front of it a gateway's own CPU time per request is measured without Druid's noise. It knows the query types,
granularities (`all` and P1D) and metadata paths that the benchmarked reports need:

    python -m benchmarks.canned_druid 8082
"""

import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import uvloop

GROUPS = 60
"""Groups in the answer to a groupBy query without a limit: the users of an organization, by type."""
_MOST_ROWS = 100_000
Query = dict[str, Any]

_CONTENT_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection with keep-alive."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head_end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:head_end]
            length = _CONTENT_LENGTH.search(head)
            body_start = head_end + 4
            body_end = body_start + (int(length[1]) if length else 0)
            if len(self._received) < body_end:
                return
            body, self._received = self._received[body_start:body_end], self._received[body_end:]
            self._transport.write(_response(head, body))


def _response(head: bytes, body: bytes) -> bytes:
    method, path, _ = head.split(b" ", 2)
    if method == b"DELETE":
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    # The metadata endpoints list no segments: there is no data that an answer could lack, and no column that differs.
    rows, context = b"[]", b"{}"
    if b"/metadata/datasources?" in path:
        rows = b'["chat_sessions","visitor_sessions"]'
    if method == b"POST" and path.rstrip(b"/") == b"/druid/v2":
        query = orjson.loads(body)
        rows, context = _rows_for(query), _context_of(query)
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Druid-Response-Context: %b\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (context, len(rows), rows)
    )


def _context_of(query: Query) -> bytes:
    """Report that only the gateway's probe interval, the first of several intervals, has no data."""
    intervals = query["intervals"]
    uncovered = intervals[:-1] if isinstance(intervals, list) else []
    return orjson.dumps({"uncoveredIntervals": uncovered, "uncoveredIntervalsOverflowed": False})


def _rows_for(query: Query) -> bytes:
    if query["queryType"] == "segmentMetadata":
        return b"[]"
    aggregators = [each.get("aggregator", each) for each in query["aggregations"]]
    post_aggregators = query.get("postAggregations", ())
    if query["queryType"] == "groupBy":
        limit = query["limitSpec"]["limit"]
        whole = (each["type"].startswith(("count", "long")) for each in aggregators)
        return _groups(
            len(query["dimensions"]),
            (*whole, *(False for _ in post_aggregators)),
            limit if limit <= _MOST_ROWS else GROUPS,
        )
    names = tuple(each["name"] for each in (*aggregators, *post_aggregators))
    intervals = query["intervals"]
    start, end = (intervals[-1] if isinstance(intervals, list) else intervals).split("/")
    if query["granularity"] == "all":
        return _buckets(names, start)
    zone = _zone(query["granularity"]["timeZone"])
    midnight = datetime.fromisoformat(start).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return _days(names, midnight, datetime.fromisoformat(end))


@lru_cache
def _zone(zone_id: str) -> tzinfo:
    """Return a zone of the database, or one that is given as an offset such as +02:00."""
    return datetime.strptime(zone_id, "%z").tzinfo or UTC if zone_id[0] in "+-" else ZoneInfo(zone_id)


@lru_cache
def _groups(dimensions: int, whole: tuple[bool, ...], groups: int) -> bytes:
    """Return one row for each group: its ids, and numbers, which are `whole` or have cents."""

    def ids(group: int) -> list[str]:
        return [f"{group:08x}-0000-4000-8000-{column:012x}" for column in range(dimensions)]

    def number(group: int, *, is_whole: bool) -> float:
        return group % 97 if is_whole else group * 7919 % 1_000_003 / 100

    return orjson.dumps([[*ids(group), *(number(group, is_whole=each) for each in whole)] for group in range(groups)])


@lru_cache
def _days(names: tuple[str, ...], midnight: datetime, end: datetime) -> bytes:
    starts = []
    while midnight < end:
        starts.append(midnight.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        # Adding to a local time keeps the wall clock, also across a change to or from summer time.
        midnight += timedelta(days=1)
    return _buckets(names, *starts)


def _buckets(names: tuple[str, ...], *starts: str) -> bytes:
    return orjson.dumps([{"timestamp": start, "result": dict.fromkeys(names, 51.0)} for start in starts])


async def serve(port: int) -> None:
    """Serve until cancelled."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
