"""Intervals, time zones and buckets.

A moment is an int: milliseconds since 1970-01-01T00:00Z. A *wall* time is the same for the clock on the wall: moment
plus the zone's offset at that moment. A bucket is named by its *label*, which is what Druid answers for it.

Druid's period granularity is used wherever it means what this language means. It does not for six hours across a
change of the clocks (Druid counts elapsed hours), nor where a change of the clocks repeats or skips a local midnight
(Druid splits the day in two): there the label is computed from the wall clock, whose offsets are sent along
(`Buckets.wall_clock`).
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_ZONES = frozenset(available_timezones())
FIRST_YEAR, LAST_YEAR = 1900, 2200

_TIMESTAMP = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    # A fraction is one of seconds: ISO 8601 reads 12:00.5 as half a minute past twelve.
    r"(?:T(?P<clock>\d\d:\d\d(?P<seconds>:\d\d)?)(?(seconds)(?:\.(?P<fraction>\d{1,9}))?)"
    r"(?P<offset>Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Interval:
    """The moments from `start` up to, but not including, `end`, and the zone whose clock the buckets follow."""

    start: int
    end: int
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, `start` up to but not including `end`, with one offset from UTC (all in milliseconds)."""

    start: int
    end: int
    offset: int


@dataclass(frozen=True, slots=True)
class Granularity:
    """How long a bucket is.

    `floor` and `following` work on wall times: the beginning of the bucket that holds one, and of the next bucket.
    `step` is the length in milliseconds where that is fixed. Of `clock` granularities an hour that the clocks repeat
    is two buckets; of the others it belongs to one.
    """

    name: str
    period: str
    longest: int
    floor: Callable[[int], int]
    following: Callable[[int], int]
    step: int | None = None
    clock: bool = False


def _steps(name: str, period: str, step: int, *, origin: int = 0, clock: bool = False) -> Granularity:
    return Granularity(
        name,
        period,
        step,
        lambda wall: wall - (wall - origin) % step,
        lambda wall: wall - (wall - origin) % step + step,
        step,
        clock,
    )


def _months(name: str, period: str, months: int) -> Granularity:
    def begin(wall: int, later: int) -> int:
        day = (EPOCH + timedelta(milliseconds=wall)).date()
        index = (day.year * 12 + day.month - 1) // months * months + later * months
        return (date(index // 12, index % 12 + 1, 1) - EPOCH.date()).days * DAY

    return Granularity(name, period, months * 31 * DAY, lambda wall: begin(wall, 0), lambda wall: begin(wall, 1))


_MONDAY = 4 * DAY  # 1970-01-05

GRANULARITIES = {
    granularity.name: granularity
    for granularity in (
        _steps("minute", "PT1M", MINUTE, clock=True),
        _steps("five_minute", "PT5M", 5 * MINUTE, clock=True),
        _steps("fifteen_minute", "PT15M", 15 * MINUTE, clock=True),
        _steps("thirty_minute", "PT30M", 30 * MINUTE, clock=True),
        _steps("hour", "PT1H", HOUR, clock=True),
        _steps("six_hour", "PT6H", 6 * HOUR),
        _steps("day", "P1D", DAY),
        _steps("week", "P1W", 7 * DAY, origin=_MONDAY),
        _months("month", "P1M", 1),
        _months("quarter", "P3M", 3),
        _months("year", "P1Y", 12),
    )
}
"""Every granularity but `all`, which has one bucket: the interval."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of an interval in order: what Druid calls each (`labels`) and when it begins (`starts`).

    `wall_clock` is empty where Druid's own period granularity gives these labels. Otherwise it holds the spans of the
    zone's offsets, from which a label is computed: the wall time floored to `granularity`, less the offset again where
    the granularity is a `clock` one.
    """

    granularity: Granularity
    zone_id: str
    labels: tuple[int, ...]
    starts: tuple[int, ...]
    wall_clock: tuple[Span, ...] = ()


def parse_timestamp(text: str, zone: ZoneInfo, *, end: bool = False) -> int:
    """Return the moment that an ISO 8601 date or date-time names; without an offset it is local to `zone`.

    Of a local time that the clocks repeat the first is meant; one that they skip is read with the offset before the
    change. Digits finer than a millisecond round up. With `end`, the milliseconds .999 stand for the whole second.
    Raises ValueError with a sentence for the caller.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError("is not an ISO 8601 date and time such as 2019-01-01T00:00:00.000+02:00")
    day, clock, fraction, offset = match.group("date", "clock", "fraction", "offset")
    try:
        local = datetime.fromisoformat(f"{day}T{clock or '00:00'}")
    except ValueError as error:
        raise ValueError(f"is not a time that exists: {error}") from None
    if not FIRST_YEAR <= local.year < LAST_YEAR:
        raise ValueError(f"is not between the years {FIRST_YEAR} and {LAST_YEAR}")
    nanoseconds = int((fraction or "0").ljust(9, "0"))
    milliseconds = -(-nanoseconds // 1_000_000)
    if end and milliseconds == 999:
        milliseconds = 1000
    moment = local.replace(tzinfo=_parse_offset(offset) if offset else zone)
    return (moment - EPOCH) // timedelta(milliseconds=1) + milliseconds


def _parse_offset(text: str) -> timezone:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 18 or minutes > 59:
        raise ValueError(f"has an offset that does not exist: {text}")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def format_moment(moment: int, zone: ZoneInfo) -> str:
    """Return the moment as ISO 8601 local to `zone`, with milliseconds and offset."""
    return (EPOCH + timedelta(milliseconds=moment)).astimezone(zone).isoformat(timespec="milliseconds")


def buckets(interval: Interval, granularity: Granularity) -> Buckets:
    """Return every bucket that a moment of the interval falls into, in order."""
    spans = _spans(interval.zone, interval.start, interval.end)
    find = _clock_labels if granularity.clock else _wall_labels
    # A label that two spans share is one bucket: dict keeps the first.
    labels = tuple(dict.fromkeys(label for span in spans for label in find(granularity, span)))
    # The first bucket, at most a year long, may begin before the interval, and before a change of the clocks.
    earlier = _spans(interval.zone, interval.start - granularity.longest - DAY * (not granularity.clock), interval.end)
    if granularity.clock:
        # Where a change is no multiple of the bucket (Lord Howe's half hour), the one after it begins with the change.
        begins: dict[int, int] = {}
        for span in earlier:
            for label in find(granularity, span):
                begins.setdefault(label, max(label, span.start))
        starts = tuple(begins[label] for label in labels)
    else:
        starts = tuple(_first_moment(earlier, wall) for wall in labels)
    if len(spans) == 1:
        # One offset: sent as such, for Druid's tz database may be older than this one.
        offset = spans[0].offset
        native = labels if granularity.clock else tuple(wall - offset for wall in labels)
        return Buckets(granularity, _offset_id(offset), native, starts)
    if _is_native(granularity, spans):
        return Buckets(granularity, interval.zone.key, starts, starts)
    return Buckets(granularity, interval.zone.key, labels, starts, spans)


def _clock_labels(granularity: Granularity, span: Span) -> Iterator[int]:
    first = granularity.floor(span.start + span.offset) - span.offset
    return iter(range(first, span.end, granularity.longest))


def _wall_labels(granularity: Granularity, span: Span) -> Iterator[int]:
    wall = granularity.floor(span.start + span.offset)
    while wall < span.end + span.offset:
        yield wall
        wall = granularity.following(wall)


def _first_moment(spans: tuple[Span, ...], wall: int) -> int:
    """Return the first moment at which the clock on the wall shows `wall` or more."""
    moments = (max(span.start, wall - span.offset) for span in spans if wall < span.end + span.offset)
    return next(moments)


def _is_native(granularity: Granularity, spans: tuple[Span, ...]) -> bool:
    """Whether Druid's period granularity has the same buckets across these changes of the clocks."""
    if granularity.step is not None and granularity.step < DAY:
        # Druid counts these in elapsed time, from an origin.
        return all((b.offset - a.offset) % granularity.step == 0 for a, b in pairwise(spans))
    # Druid goes wrong where the clocks repeat or skip a midnight: stepping from bucket to bucket it lets all later days
    # begin an hour late, and flooring a row of that very day it finds a week that begins at one o'clock.
    walls = [sorted((a.end + a.offset, a.end + b.offset)) for a, b in pairwise(spans)]
    return all(last - 1 - (last - 1) % DAY < first for first, last in walls)


def _offset_id(offset: int) -> str:
    """Return the offset in the form that Druid takes for a time zone."""
    sign, seconds = "-" if offset < 0 else "+", abs(offset) // 1000
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return text if seconds % 60 == 0 else f"{text}:{seconds % 60:02}"


def _offset(zone: ZoneInfo, moment: int) -> int:
    offset = (EPOCH + timedelta(milliseconds=moment)).astimezone(zone).utcoffset() or timedelta()
    return offset // timedelta(milliseconds=1)


def _spans(zone: ZoneInfo, start: int, end: int) -> tuple[Span, ...]:
    years = range((EPOCH + timedelta(milliseconds=start)).year, (EPOCH + timedelta(milliseconds=end)).year + 1)
    changes = [moment for year in years for moment in _changes(zone, year) if start < moment < end]
    return tuple(Span(a, b, _offset(zone, a)) for a, b in pairwise([start, *changes, end]))


@lru_cache(maxsize=10_000)
def _changes(zone: ZoneInfo, year: int) -> tuple[int, ...]:
    """Return the moments of a UTC year at which the zone's offset changes; found by halving, day by day."""

    def midnight(which: int) -> int:
        return (date(which, 1, 1) - EPOCH.date()).days * DAY

    found = []
    for day in range(midnight(year), midnight(year + 1), DAY):
        before, after = _offset(zone, day - 1000), _offset(zone, day + DAY - 1000)
        if before != after:
            seconds = range(day // 1000, (day + DAY) // 1000)
            # The first second whose offset is no longer the old one.
            index = bisect_left(seconds, 1, key=lambda second: _offset(zone, second * 1000) != before)
            found.append(seconds[index] * 1000)
    return tuple(found)
