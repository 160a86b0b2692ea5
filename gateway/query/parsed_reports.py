"""Parsing a report once for all of its intervals: dashboards repeat their reports, each time with another interval."""

import re
from typing import Any, Final, Generic, TypeVar
from zoneinfo import ZoneInfo

from gateway.errors import InvalidJson
from gateway.query.intervals import Fixed
from gateway.query.json_body import read_json
from gateway.query.parse import parse
from gateway.query.report import Report
from gateway.query.schema import ReportSchema
from gateway.query.time import Interval, parse_timestamp
from gateway.query.zones import TIME_ZONES

_MOST_REPORTS: Final = 2_000
LARGE: Final = 2_048
"""Bytes from which on a report is not kept: they are rare, and their parts beside the interval are rarely the same.

Describing the problems of such a body may take too long for the event loop: parse it in another thread.
"""
# A key: no other text can follow a string in quotes that is not escaped. The spaces are those of JSON.
_INTERVAL: Final = re.compile(rb'"interval"[ \t\r\n]*:[ \t\r\n]*(\{[^{}]*\})')

T = TypeVar("T")


class _Recent(Generic[T]):
    """As many values as are kept, each with a part of the body as its key. The oldest one is dropped first."""

    def __init__(self) -> None:
        self._values: dict[bytes, T] = {}
        self.get = self._values.get

    def put(self, key: bytes, value: T) -> None:
        if len(self._values) >= _MOST_REPORTS:
            # One that is in use comes back at once.
            del self._values[next(iter(self._values))]
        self._values[key] = value


class ParsedReports:
    """Parses the reports of one data set, and keeps the valid ones. Nothing depends on a caller.

    A body that was parsed before is the same report. If only the values of an interval with start and end differ, only
    these are parsed.
    """

    def __init__(self, schema: ReportSchema) -> None:
        self.schema = schema
        self._by_body = _Recent[Report]()
        self._by_rest = _Recent[Report]()

    def parse(self, body: bytes) -> Report:
        """Return the report that the body describes; raises InvalidJson, or InvalidReport with every problem."""
        return self._by_body.get(body) or self._parse(body)

    def _parse(self, body: bytes) -> Report:
        if len(body) >= LARGE:
            return parse(read_json(body), self.schema)
        # The interval must be the report's: the only one, also of those that are spelled with escapes.
        is_clear = body.count(b'"interval"') == 1 and b"\\u00" not in body
        found = _INTERVAL.search(body) if is_clear else None
        # The text around the interval.
        rest = None if found is None else body[: found.start(1)] + b"\0" + body[found.end(1) :]
        if found is not None and rest is not None and (known := self._by_rest.get(rest)) is not None:
            interval = _interval(found[1])
            if interval is not None:
                report = known.with_interval(Fixed(interval))
                self._by_body.put(body, report)
                return report
        report = parse(read_json(body), self.schema)
        self._by_body.put(body, report)
        # What a comparison compares with depends on the interval.
        if rest is not None and report.compare is None:
            self._by_rest.put(rest, report)
        return report


def _interval(text: bytes) -> Interval | None:
    """Return the interval if it is valid; the reasons why it is not need the whole report's schema."""
    try:
        body: Any = read_json(text)
        start, end, name = body["start"], body["end"], body.get("time_zone", "UTC")
        if len(body) != 2 + ("time_zone" in body) or name not in TIME_ZONES:
            return None
        zone = ZoneInfo(name)
        interval = Interval(parse_timestamp(start, zone), parse_timestamp(end, zone, end=True), zone)
    except (AttributeError, InvalidJson, KeyError, TypeError, ValueError):
        return None
    return interval if interval.start < interval.end else None
