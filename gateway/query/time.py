"""Moments and intervals: how they are read and written.

A moment is an int: milliseconds since 1970-01-01T00:00Z.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.query.zones import DAY, datetime_of, moment_of

FIRST_YEAR, LAST_YEAR = 1900, 2200

_TIMESTAMP = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    # A fraction needs seconds: in ISO 8601, 12:00.5 is half a minute past twelve.
    r"(?:T(?P<clock>\d\d:\d\d(?P<seconds>:\d\d)?)(?(seconds)(?:\.(?P<fraction>\d{1,9}))?)"
    r"(?P<offset>Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Interval:
    """The moments from `start` up to, but not including, `end`, and the zone whose local time the buckets follow."""

    start: int
    end: int
    zone: ZoneInfo

    @property
    def days(self) -> int:
        """The number of days of 24 hours that the interval needs."""
        return -(-(self.end - self.start) // DAY)

    def to_json(self) -> dict[str, str]:
        """Return start and end as an answer shows them."""
        return {"start": format_moment(self.start, self.zone), "end": format_moment(self.end, self.zone)}


def parse_timestamp(text: str, zone: ZoneInfo, *, end: bool = False) -> int:
    """Return the moment that an ISO 8601 date or date-time names; without an offset it is local to `zone`.

    A local time that occurs twice means the first one; a local time that is skipped is read with the offset before the
    change. Digits finer than a millisecond round up. With `end`, .999 and everything above it means the whole second.
    Raises ValueError with a sentence for the caller.
    """
    local, zone_of_text, nanoseconds = _read(text)
    # Before rounding: .998000001 rounds up to .999 without meaning the whole second.
    milliseconds = 1000 if end and nanoseconds >= 999_000_000 else -(-nanoseconds // 1_000_000)
    return moment_of(local.replace(tzinfo=zone_of_text or zone)) + milliseconds


# The schema, the search for contradictions and the report each read the same texts.
@lru_cache(maxsize=4_096)
def _read(text: str) -> tuple[datetime, timezone | None, int]:
    """Return the local time to the second, the offset from UTC if the text has one, and the nanoseconds."""
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
    return local, _parse_offset(offset) if offset else None, int((fraction or "0").ljust(9, "0"))


def _parse_offset(text: str) -> timezone:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 18 or minutes > 59:
        raise ValueError(f"has an offset that does not exist: {text}")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


# Reports on the same days have the same buckets.
@lru_cache(maxsize=16_384)
def format_moment(moment: int, zone: ZoneInfo) -> str:
    """Return the moment as ISO 8601 local to `zone`, with milliseconds and offset."""
    return datetime_of(moment).astimezone(zone).isoformat("T", "milliseconds")


def wall_time(moment: int, zone: ZoneInfo) -> int:
    """Return what a local clock shows at the moment, in milliseconds."""
    return moment_of(datetime_of(moment).astimezone(zone).replace(tzinfo=UTC))


def moment_at(wall: int, zone: ZoneInfo) -> int:
    """Return the moment at which a local clock shows this, by the rules of parse_timestamp."""
    return moment_of(datetime_of(wall).replace(tzinfo=zone))


def a_year_earlier(moment: int, zone: ZoneInfo) -> int:
    """Return the same local time in the year before; of 29 February, on the 28th."""
    local = datetime_of(wall_time(moment, zone))
    leap_day = (local.month, local.day) == (2, 29)
    earlier = local.replace(year=local.year - 1, day=28 if leap_day else local.day)
    return moment_at(moment_of(earlier), zone)
