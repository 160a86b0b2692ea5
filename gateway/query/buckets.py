"""Granularities, and the buckets into which one divides an interval.

A *wall* time is what a local clock shows, as milliseconds: a moment plus the zone's offset at that moment. Druid
returns a bucket's *label*, from which the bucket's start follows.

Druid never learns the zone. If one fixed offset yields the same buckets, the query uses Druid's period granularity with
that offset. Otherwise Druid computes the label of each row from the offsets in `Buckets.spans`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise

from gateway.query.time import Interval
from gateway.query.zones import DAY, EPOCH, Span, datetime_of, spans

MINUTE, HOUR = 60_000, 3_600_000

_FEW = 400
"""As many buckets as a year has days. More of them would take too much memory to keep."""


@dataclass(frozen=True, slots=True)
class Granularity:
    """How long a bucket is.

    `floor` and `following` work on wall times: the start of the bucket that contains one, and of the next bucket.
    With `by_offset`, a wall time that occurs twice is in two buckets, one for each offset; otherwise it is in one.
    """

    name: str
    period: str
    longest: int
    floor: Callable[[int], int]
    following: Callable[[int], int]
    by_offset: bool = False


def _steps(name: str, period: str, step: int, *, origin: int = 0, by_offset: bool = False) -> Granularity:
    def floor(wall: int) -> int:
        return wall - (wall - origin) % step

    return Granularity(name, period, step, floor, lambda wall: floor(wall) + step, by_offset)


def _months(name: str, period: str, months: int) -> Granularity:
    def begin(wall: int, later: int) -> int:
        day = datetime_of(wall).date()
        index = (day.year * 12 + day.month - 1) // months * months + later * months
        return (date(index // 12, index % 12 + 1, 1) - EPOCH.date()).days * DAY

    return Granularity(name, period, months * 31 * DAY, lambda wall: begin(wall, 0), lambda wall: begin(wall, 1))


_MONDAY = 4 * DAY  # 1970-01-05

GRANULARITIES = {
    granularity.name: granularity
    for granularity in (
        _steps("minute", "PT1M", MINUTE, by_offset=True),
        _steps("five_minute", "PT5M", 5 * MINUTE, by_offset=True),
        _steps("fifteen_minute", "PT15M", 15 * MINUTE, by_offset=True),
        _steps("thirty_minute", "PT30M", 30 * MINUTE, by_offset=True),
        _steps("hour", "PT1H", HOUR, by_offset=True),
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
    """The buckets of an interval in order: how Druid labels each one (`labels`) and when it starts (`starts`).

    With one span, Druid's period granularity at the span's offset yields these labels. With several, a row's label is
    its wall time floored to `granularity`, minus the offset again if the granularity is `by_offset`.
    """

    granularity: Granularity
    labels: tuple[int, ...]
    starts: tuple[int, ...]
    spans: tuple[Span, ...]

    @property
    def have_fixed_offset(self) -> bool:
        """Whether Druid's period granularity yields the labels."""
        return len(self.spans) == 1

    @property
    def origin(self) -> int:
        """A moment from which buckets can be counted."""
        return self.labels[0] if self.labels else self.spans[0].start


def buckets(interval: Interval, granularity: Granularity) -> Buckets:
    """Return every bucket that contains a moment of the interval, in order."""
    offsets = spans(interval.zone, interval.start, interval.end)
    if interval.start == interval.end:
        return Buckets(granularity, (), (), offsets)
    if len(offsets) == 1 and len(spans(interval.zone, _earliest(interval, granularity), interval.end)) == 1:
        # The usual case: no offset changes, also not within the first bucket before the interval.
        starts = _at_offset(granularity, offsets[0])
        return Buckets(granularity, starts, starts, offsets)
    sequence = [label for span in offsets for label in _labels(granularity, span)]
    # A label that occurs in two spans is one bucket. In order, because a day can end again after the next one began:
    # where the clocks went back across midnight.
    labels = tuple(sorted({*sequence}))
    starts = _starts(interval, granularity, labels)
    contiguous = sequence == sorted(sequence)
    if contiguous and (fixed := _fixed_offset(interval, granularity, labels, starts)):
        return Buckets(granularity, _shifted(granularity, labels, fixed.offset), starts, (fixed,))
    if len(offsets) == 1:
        # The clocks went back before the interval, within its first bucket.
        return Buckets(granularity, _shifted(granularity, labels, offsets[0].offset), starts, offsets)
    return Buckets(granularity, labels, starts, offsets)


def _at_offset(granularity: Granularity, span: Span) -> tuple[int, ...]:
    """Return the starts of the buckets of a time with one offset, which are also their labels."""
    wall, end = granularity.floor(span.start + span.offset), span.end + span.offset
    # Reports on the same days have the same buckets.
    starts = _kept_starts if (end - wall) // granularity.longest <= _FEW else _wall_starts
    return starts(granularity, wall, end, span.offset)


def _wall_starts(granularity: Granularity, wall: int, end: int, offset: int) -> tuple[int, ...]:
    return tuple(each - offset for each in _wall_labels(granularity, wall, end))


_kept_starts = lru_cache(maxsize=256)(_wall_starts)


def _labels(granularity: Granularity, span: Span) -> Iterable[int]:
    wall = granularity.floor(span.start + span.offset)
    if granularity.by_offset:
        return range(wall - span.offset, span.end, granularity.longest)
    return _wall_labels(granularity, wall, span.end + span.offset)


def _wall_labels(granularity: Granularity, wall: int, end: int) -> Iterator[int]:
    while wall < end:
        yield wall
        wall = granularity.following(wall)


def _shifted(granularity: Granularity, labels: tuple[int, ...], offset: int) -> tuple[int, ...]:
    """Return the moments of the labels at this offset, which are the labels of Druid's period granularity."""
    return labels if granularity.by_offset else tuple(label - offset for label in labels)


def _earliest(interval: Interval, granularity: Granularity) -> int:
    """Return a moment before the first bucket, which may start before the interval and before an offset change."""
    return interval.start - granularity.longest - DAY * (not granularity.by_offset)


def _starts(interval: Interval, granularity: Granularity, labels: tuple[int, ...]) -> tuple[int, ...]:
    offsets = spans(interval.zone, _earliest(interval, granularity), interval.end)
    if not granularity.by_offset:
        return tuple(_first_moments(offsets, labels))
    # Where a change is no multiple of the bucket (Lord Howe's half hour), the bucket after it starts with the change.
    cut: dict[int, int] = {}
    for before, span in pairwise(offsets):
        label = granularity.floor(span.start + span.offset) - span.offset
        if label < span.start and label not in _labels(granularity, before):
            cut[label] = span.start
    return tuple(cut.get(label, label) for label in labels) if cut else labels


def _first_moments(offsets: tuple[Span, ...], walls: tuple[int, ...]) -> Iterator[int]:
    """Yield the first moment at which a local clock shows each of the ascending wall times, or a later one."""
    index = 0
    for wall in walls:
        while wall >= offsets[index].end + offsets[index].offset:
            index += 1
        yield max(offsets[index].start, wall - offsets[index].offset)


def _fixed_offset(
    interval: Interval, granularity: Granularity, labels: tuple[int, ...], starts: tuple[int, ...]
) -> Span | None:
    """Return a span over the interval, with an offset at which contiguous buckets have the same labels and starts.

    The start of the first bucket does not matter: it is not after the interval's start.
    """
    # The only candidate is the offset at a boundary between two buckets; for `by_offset` any offset of the interval.
    if len(labels) > 1 and not granularity.by_offset:
        offset = labels[1] - starts[1]
    else:
        offset = spans(interval.zone, interval.start, interval.start + 1)[0].offset
    fixed = Span(interval.start, interval.end, offset)
    moments = _shifted(granularity, labels, offset)
    return fixed if moments[1:] == starts[1:] and tuple(_labels(granularity, fixed)) == labels else None
