"""Half-open ranges of time, as Druid writes them. Pure."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Self

from gateway.query.zones import datetime_of, moment_of

# The Gregorian calendar repeats after 400 years. Python's datetime covers the years 1 to 9999; Druid's cover more.
_CYCLE_YEARS = 400
_CYCLE = 146_097 * 86_400_000
_CYCLE_START = moment_of(datetime(2000, 1, 1, tzinfo=UTC))
_USUAL_LENGTH = len("2019-01-01T00:00:00.000Z")
_MOMENT = re.compile(
    r"(?P<year>[+-]?\d{4,9})-(?P<rest>\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?(?:Z|[+-]\d\d:\d\d)?)", re.ASCII
)


class TimeRange(NamedTuple):
    """The time from `start` up to, but not including, `end`, in milliseconds since 1970-01-01T00:00Z."""

    start: int
    end: int

    @classmethod
    def parse(cls, interval: str) -> Self:
        """Read an interval as Druid writes it: two moments of any year, separated by a slash. Raises ValueError."""
        start, end = interval.split("/")
        return cls(_parse_moment(start), _parse_moment(end))

    def __str__(self) -> str:
        return f"{_format_moment(self.start)}/{_format_moment(self.end)}"

    def iso(self) -> tuple[str, str]:
        """Return start and end as Druid writes moments."""
        return _format_moment(self.start), _format_moment(self.end)

    def overlaps(self, other: "TimeRange") -> bool:
        """Whether the ranges have time in common."""
        return self.start < other.end and other.start < self.end

    def contains(self, other: "TimeRange") -> bool:
        """Whether this range includes all of the other."""
        return self.start <= other.start and other.end <= self.end

    def intersection(self, other: "TimeRange") -> "TimeRange":
        """Return the common time of two ranges that overlap."""
        return TimeRange(max(self.start, other.start), min(self.end, other.end))


def _parse_moment(text: str) -> int:
    if len(text) == _USUAL_LENGTH and text[4] == "-" and text[-1] == "Z":
        return moment_of(datetime.fromisoformat(text))
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a moment as Druid writes it: {text[:40]!r}")
    cycles, year = divmod(int(match["year"]) - 2000, _CYCLE_YEARS)
    moment = datetime.fromisoformat(f"{2000 + year}-{match['rest']}")
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return moment_of(moment) + cycles * _CYCLE


def _format_moment(moment: int) -> str:
    cycles, within = divmod(moment - _CYCLE_START, _CYCLE)
    text = datetime_of(_CYCLE_START + within).isoformat("T", "milliseconds")
    year = int(text[:4]) + cycles * _CYCLE_YEARS
    return f"{'-' if year < 0 else ''}{abs(year):04d}{text[4:23]}Z"


ALWAYS = TimeRange.parse("0001-01-01T00:00:00.000Z/9999-12-31T00:00:00.000Z")
"""All time that Druid is asked about."""


def span(ranges: Iterable[TimeRange]) -> TimeRange:
    """Return the shortest range that contains all of these; there is at least one."""
    known = list(ranges)
    return TimeRange(min(each.start for each in known), max(each.end for each in known))


def merge(ranges: Iterable[TimeRange]) -> tuple[TimeRange, ...]:
    """Return the same time as the fewest ranges, in order. No two of them touch."""
    merged: list[TimeRange] = []
    for each in sorted(ranges):
        if merged and each.start <= merged[-1].end:
            merged[-1] = TimeRange(merged[-1].start, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return tuple(merged)


def intersect(ranges: Sequence[TimeRange], others: Sequence[TimeRange]) -> tuple[TimeRange, ...]:
    """Return the time that both have in common; both are merged, and so is the result."""
    found = []
    mine, theirs = 0, 0
    while mine < len(ranges) and theirs < len(others):
        if ranges[mine].overlaps(others[theirs]):
            found.append(ranges[mine].intersection(others[theirs]))
        if ranges[mine].end <= others[theirs].end:
            mine += 1
        else:
            theirs += 1
    return tuple(found)


def complement(ranges: Iterable[TimeRange], within: TimeRange) -> tuple[TimeRange, ...]:
    """Return the time of `within` that none of the ranges contains."""
    gaps, reached = [], within.start
    for each in merge(ranges):
        if reached < min(each.start, within.end):
            gaps.append(TimeRange(reached, min(each.start, within.end)))
        reached = max(reached, each.end)
    return (*gaps, TimeRange(reached, within.end)) if reached < within.end else tuple(gaps)
