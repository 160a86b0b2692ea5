"""Parsing a report once for all of its intervals: dashboards repeat their reports, each time with another interval."""

from dataclasses import replace
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from gateway.query.intervals import Fixed
from gateway.query.parse import parse
from gateway.query.report import Report
from gateway.query.schema import ReportSchema
from gateway.query.time import Interval, parse_timestamp
from gateway.query.zones import TIME_ZONES

_MOST_REPORTS: Final = 2_000
_LONGEST: Final = 2_048
"""Bytes of a report that is kept. Longer ones are rare, and their parts beside the interval are rarely the same."""


class ParsedReports:
    """Parses the reports of one data set, and keeps what does not depend on the interval. Nothing depends on a caller.

    Only valid reports are kept, with intervals of the form start, end and time_zone; all others are parsed as a whole.
    """

    def __init__(self, schema: ReportSchema) -> None:
        self.schema = schema
        self._reports: dict[bytes, Report] = {}

    def parse(self, body: object) -> Report:
        """Return the report that the body describes; raises InvalidReport with every problem."""
        key = _key(body)
        if key is None or not isinstance(body, dict):
            return parse(body, self.schema)
        known = self._reports.get(key)
        interval = None if known is None else _valid_interval(body["interval"])
        if known is not None and interval is not None:
            return replace(known, interval=Fixed(interval))
        report = parse(body, self.schema)
        if len(self._reports) >= _MOST_REPORTS:
            # The oldest one: a report that is in use comes back at once.
            del self._reports[next(iter(self._reports))]
        self._reports[key] = report
        return report


def _key(body: object) -> bytes | None:
    """Return the body without its interval, as text; None if it may not be kept."""
    # What a comparison compares with depends on the interval.
    if not isinstance(body, dict) or "interval" not in body or "compare" in body:
        return None
    try:
        # The order of keys and the types of numbers remain, so that different bodies have different texts.
        key = orjson.dumps({**body, "interval": None})
    except TypeError:
        # An integer of more than 64 bits.
        return None
    return key if len(key) <= _LONGEST else None


def _valid_interval(body: Any) -> Interval | None:  # noqa: ANN401 - JSON of any shape
    """Return the interval if it is valid; the reasons why it is not need the whole report's schema."""
    try:
        start, end, name = body["start"], body["end"], body.get("time_zone", "UTC")
        if len(body) != 2 + ("time_zone" in body) or name not in TIME_ZONES:
            return None
        zone = ZoneInfo(name)
        interval = Interval(parse_timestamp(start, zone), parse_timestamp(end, zone, end=True), zone)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return interval if interval.start < interval.end else None
