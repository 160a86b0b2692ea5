"""Moments, wall clocks and buckets, one moment at a time: slow, plain, and independent of the gateway.

A moment is an int: milliseconds since 1970 in UTC. A wall-clock time is a datetime without a zone.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
MINUTE: Final = 60_000

FIXED: Final = {
    "minute": MINUTE,
    "five_minute": 5 * MINUTE,
    "fifteen_minute": 15 * MINUTE,
    "thirty_minute": 30 * MINUTE,
    "hour": 60 * MINUTE,
}
"""Granularities that follow the moment's own offset: a repeated hour is two buckets."""


def _month(wall: datetime, months: int) -> datetime:
    """The start of the period of this many months that contains `wall`."""
    return datetime(wall.year, (wall.month - 1) // months * months + 1, 1)  # noqa: DTZ001


def _day(wall: datetime) -> datetime:
    return datetime(wall.year, wall.month, wall.day)  # noqa: DTZ001


LABELS: Final[dict[str, Callable[[datetime], datetime]]] = {
    "six_hour": lambda wall: _day(wall) + timedelta(hours=wall.hour // 6 * 6),
    "day": _day,
    "week": lambda wall: _day(wall) - timedelta(days=wall.weekday()),
    "month": lambda wall: _month(wall, 1),
    "quarter": lambda wall: _month(wall, 3),
    "year": lambda wall: _month(wall, 12),
}
"""Granularities of local time: the label is the local time at which a bucket starts."""

_LONGEST: Final = {"six_hour": 0.25, "day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}

_TIMESTAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)


def moment(text: str, zone: str, *, end: bool = False) -> int:
    """The first whole millisecond that is not before the time in `text`."""
    match = _TIMESTAMP.fullmatch(text)
    assert match, text
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, offset = (match[7] or "").ljust(9, "0"), match[8]
    wall = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
    if end and fraction.startswith("999"):
        wall, fraction = wall + timedelta(seconds=1), "000000000"
    whole, finer = int(fraction[:3]), int(fraction[3:])
    if offset is None:
        # PEP 495, fold=0: the first of two moments, and in a gap the offset before it.
        aware = wall.replace(tzinfo=ZoneInfo(zone))
    elif offset == "Z":
        aware = wall.replace(tzinfo=UTC)
    else:
        sign = -1 if offset[0] == "-" else 1
        aware = wall.replace(tzinfo=timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))))
    return _count(aware) + whole + (1 if finer else 0)


def shown(at: int, zone: str) -> str:
    """The moment as an answer formats it: local, with milliseconds and the offset."""
    return _aware(at, zone).isoformat(timespec="milliseconds")


def bucket_of(at: int, granularity: str, zone: str) -> int:
    """The start of the bucket that contains `at`; not for `all`."""
    if size := FIXED.get(granularity):
        offset = _offset(at, zone)
        begins = (at + offset) // size * size - offset
        if (begins + _offset(begins, zone)) % size:
            # The offset has changed since, and not by whole buckets: the change ended one bucket and started this one.
            begins = _bisect(begins, at, lambda moment: _offset(moment, zone) == offset)
        return begins
    return _first_moment(LABELS[granularity](_wall(at, zone)), zone)


def buckets(start: int, end: int, granularity: str, zone: str) -> list[int]:
    """The starts of the buckets that contain a moment of start ≤ t < end; not for `all`."""
    if granularity in FIXED:
        return sorted(set(_fixed_buckets(start, end, granularity, zone)))
    label = LABELS[granularity](_wall(start, zone))
    found = set()
    while (begins := _first_moment(label, zone)) < end:
        found.add(begins)
        label = _next(label, granularity)
    return sorted(found)


def _fixed_buckets(start: int, end: int, granularity: str, zone: str) -> Iterator[int]:
    size = FIXED[granularity]
    changes = [at for at in offset_changes(zone) if start < at < end]
    for first, last in pairwise([start, *changes, end]):
        offset = _offset(first, zone)
        yield bucket_of(first, granularity, zone)
        yield from range((first + offset) // size * size - offset + size, last, size)


def _next(label: datetime, granularity: str) -> datetime:
    return LABELS[granularity](label + timedelta(days=_LONGEST[granularity]))


@cache
def offset_changes(zone: str) -> tuple[int, ...]:
    """Every moment from 2015 to 2024 at which the zone's offset changes."""
    first, last = (_count(datetime(year, 1, 1, tzinfo=UTC)) for year in (2015, 2025))
    changes = []
    for before, after in pairwise(range(first, last, 1440 * MINUTE)):
        if _offset(before, zone) != (new := _offset(after, zone)):
            changes.append(_bisect(before, after, lambda at, new=new: _offset(at, zone) == new))  # type: ignore[misc]
    return tuple(changes)


@cache
def _first_moment(label: datetime, zone: str) -> int:
    """The first moment at which a local clock shows `label` or, if it skips that, a later time."""
    aware = label.replace(tzinfo=ZoneInfo(zone))
    at = _count(aware)
    if _wall(at, zone) == label:
        return at
    return _bisect(_count(aware.replace(fold=1)), at, lambda moment: _wall(moment, zone) >= label)


def wall(at: int, zone: str) -> datetime:
    """What a local clock shows."""
    return _wall(at, zone)


def of_wall(shown_time: datetime, zone: str) -> int:
    """The first moment at which a local clock shows this; in a gap, by the offset before it."""
    return _count(shown_time.replace(tzinfo=ZoneInfo(zone), fold=0))


def parts(at: int, zone: str) -> tuple[int, int, int, int]:
    """Hour, day of the week, day of the month and month on a local clock."""
    local = _wall(at, zone)
    return local.hour, local.isoweekday(), local.day, local.month


def _bisect(no: int, yes: int, holds: Callable[[int], bool]) -> int:
    """The first moment in no < t ≤ yes for which `holds` is true."""
    while yes - no > 1:
        middle = (no + yes) // 2
        no, yes = (no, middle) if holds(middle) else (middle, yes)
    return yes


def _aware(at: int, zone: str) -> datetime:
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(ZoneInfo(zone))


def _wall(at: int, zone: str) -> datetime:
    return _aware(at, zone).replace(tzinfo=None, fold=0)


def _offset(at: int, zone: str) -> int:
    offset = _aware(at, zone).utcoffset()
    assert offset is not None
    return offset // MILLISECOND


def _count(aware: datetime) -> int:
    return (aware.astimezone(UTC) - _EPOCH) // MILLISECOND
