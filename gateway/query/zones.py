"""Time zones: one database, and the stretches of time in which a zone has one offset from UTC.

Druid has its own tz database, whose version the gateway does not control. Two versions disagree about offsets and
hence about buckets. So the only database in use is that of the pinned `tzdata` package, and Druid receives offsets,
never the name of a zone.
"""

import zoneinfo
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import tzdata

# Without a search path Python reads the package only. The system's files would take precedence over it otherwise.
zoneinfo.reset_tzpath(to=())
ZoneInfo.clear_cache()

TZDATA_VERSION: str = tzdata.IANA_VERSION
"""The version of the tz database in use, such as 2025b."""

# "Factory" is the zone of a computer without a configured one.
TIME_ZONES = frozenset(zoneinfo.available_timezones() - {"Factory"})
"""The names that a report may use."""

DAY = 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Created once: by keyword, a timedelta takes as long to create as all the rest of a conversion.
_MILLISECOND = timedelta(milliseconds=1)

_STEP = 3 * DAY
"""Shorter than the time between any two changes of an offset, which is 6 days and 23 hours (Asia/Gaza)."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time from `start` up to but not including `end`, with one offset from UTC (all in milliseconds)."""

    start: int
    end: int
    offset: int


def datetime_of(moment: int) -> datetime:
    """Return the moment, in milliseconds since 1970-01-01T00:00Z, as a datetime in UTC."""
    return EPOCH + moment * _MILLISECOND


def moment_of(time: datetime) -> int:
    """Return the moment of a datetime that has a zone, rounded down to the millisecond."""
    return (time - EPOCH) // _MILLISECOND


def spans(zone: ZoneInfo, start: int, end: int) -> tuple[Span, ...]:
    """Return the spans, in order, that make up the time from `start` to `end`."""
    years = range(datetime_of(start).year, datetime_of(end).year + 1)
    changes = [moment for year in years for moment in _offset_changes(zone, year) if start < moment < end]
    return tuple(Span(a, b, _offset(zone, a)) for a, b in pairwise([start, *changes, end]))


def _offset(zone: ZoneInfo, moment: int) -> int:
    offset = datetime_of(moment).astimezone(zone).utcoffset() or timedelta()
    return offset // _MILLISECOND


@lru_cache(maxsize=10_000)
def _offset_changes(zone: ZoneInfo, year: int) -> tuple[int, ...]:
    """Return the moments of a UTC year at which the zone's offset changes: at whole seconds, more than _STEP apart."""
    first, last = ((date(each, 1, 1) - EPOCH.date()).days * DAY - 1000 for each in (year, year + 1))
    found = []
    for before, after in pairwise([*range(first, last, _STEP), last]):
        offset = _offset(zone, before)
        if offset != _offset(zone, after):
            found.append(_first_other(zone, offset, before, after))
    return tuple(found)


def _first_other(zone: ZoneInfo, offset: int, before: int, after: int) -> int:
    """Return the first whole second between two moments at which the zone has another offset than before."""
    seconds = range(before // 1000, after // 1000)
    index = bisect_left(seconds, 1, key=lambda second: _offset(zone, second * 1000) != offset)
    return (seconds[0] + index) * 1000
