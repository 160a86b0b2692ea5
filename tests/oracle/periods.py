"""Relative intervals and comparison intervals, one local calendar step at a time."""

from collections.abc import Mapping
from typing import Any, Final

from tests.oracle import clock

UNITS: Final = {"M": "month", "Y": "year", "W": "week", "D": "day", "TH": "hour", "TM": "minute"}


def interval_of(interval: Mapping[str, Any], now: int) -> tuple[int, int, int]:
    """Start, end, and the end of the last whole unit if the interval ends within one."""
    zone = interval.get("time_zone", "UTC")
    now -= now % clock.MINUTE
    if "last" in interval:
        text: str = interval["last"]
        count = int("".join(c for c in text if c.isdigit()))
        unit = UNITS[("T" if "T" in text else "") + text[-1]]
        start, following = _unit(now, unit, zone)
        if not interval.get("include_current", False):
            return _before(start, count, unit, zone), start, start
        return _before(start, count - 1, unit, zone), now, following
    if "current" in interval:
        start, following = _unit(now, interval["current"], zone)
        return start, now, following
    start, end = clock.moment(interval["start"], zone), clock.moment(interval["end"], zone, end=True)
    return start, end, end


def compared(
    compare: Mapping[str, Any], whole: tuple[int, int], zone: str, now: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Both intervals that are compared."""
    now -= now % clock.MINUTE
    start, end = whole
    other = _other(compare["to"], start, end, zone)
    if end <= now:
        return (start, end), other
    until = max(start, now)
    years = 1 if compare["to"] == "previous_year" and not _ends_within_a_leap_day(end, zone) else 0
    if compare["to"] == "previous_period" and all(_unit(at, "year", zone)[0] == at for at in whole):
        years = clock.wall(end, zone).year - clock.wall(start, zone).year
    if years:
        return (start, until), (other[0], max(other[0], _end_years_earlier(until, years, zone)))
    elapsed = clock.wall(until, zone) - clock.wall(start, zone)
    cut = clock.of_wall(clock.wall(other[0], zone) + elapsed, zone)
    return (start, until), (other[0], min(other[1], max(other[0], cut)))


def _other(to: Any, start: int, end: int, zone: str) -> tuple[int, int]:
    if isinstance(to, Mapping):
        return clock.moment(to["start"], zone), clock.moment(to["end"], zone, end=True)
    if to == "previous_year":
        earlier = _year_earlier(start, zone)
        if _ends_within_a_leap_day(end, zone):
            length = clock.wall(end, zone) - clock.wall(start, zone)
            return earlier, max(earlier, clock.of_wall(clock.wall(earlier, zone) + length, zone))
        return earlier, max(earlier, _end_years_earlier(end, 1, zone))
    # Elsewhere the clocks change by whole hours, so that hours are time that has passed.
    hours = ("hour",) if zone == "Australia/Lord_Howe" else ()
    for unit in ("year", "quarter", "month", "week", "day", *hours):
        if _unit(start, unit, zone)[0] == start and _unit(end, unit, zone)[0] == end:
            count, at = 0, start
            while at < end:
                count, at = count + 1, _unit(at, unit, zone)[1]
            return _before(start, count, unit, zone), start
    return start - (end - start), start


def _ends_within_a_leap_day(end: int, zone: str) -> bool:
    wall = clock.wall(end, zone)
    return (wall.month, wall.day) == (2, 29) and wall.time() != wall.time().min


def _year_earlier(at: int, zone: str) -> int:
    wall = clock.wall(at, zone)
    try:
        earlier = wall.replace(year=wall.year - 1)
    except ValueError:
        earlier = wall.replace(year=wall.year - 1, day=28)
    return clock.of_wall(earlier, zone)


def _end_years_earlier(end: int, years: int, zone: str) -> int:
    """The end after the last moment within, so many years earlier."""
    for _ in range(years):
        end = _year_earlier(end - 1, zone) + 1
    return end


def _unit(at: int, unit: str, zone: str) -> tuple[int, int]:
    """The start of the unit that contains the moment, and of the next one."""
    start = clock.bucket_of(at, unit, zone)
    step = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "month": 28, "quarter": 89, "year": 365}[unit]
    following = at
    while clock.bucket_of(following, unit, zone) == start:
        following += int(step * 1440) * clock.MINUTE // (1 if step < 1 else 8)
    return start, clock.bucket_of(following, unit, zone)


def _before(start: int, count: int, unit: str, zone: str) -> int:
    for _ in range(count):
        start = clock.bucket_of(start - 1, unit, zone)
    return start
