"""Comparing a report's interval with an earlier one: which interval that is, and the columns of the answer.

COMPARED_WITH lists the intervals that have a name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from types import MappingProxyType
from zoneinfo import ZoneInfo

from gateway.query.aggregations import MetricColumn, Number, finite
from gateway.query.buckets import GRANULARITIES, buckets
from gateway.query.intervals import Resolved, units_before
from gateway.query.literals import Json
from gateway.query.time import Interval, a_year_earlier, moment_at, wall_time
from gateway.query.zones import DAY, datetime_of

PREVIOUS_START_TIME = "previous_start_time"

_PREVIOUS, _CHANGE = "_previous", "_change"
_YEAR = GRANULARITIES["year"]
_UNITS = (_YEAR, *(GRANULARITIES[name] for name in ("quarter", "month", "week", "day", "hour")))


def _previous_period(whole: Interval, until: int) -> Interval:
    """Return as many whole units as the interval has, or as much time, ending where it starts."""
    for unit in _UNITS:
        limits = (buckets(Interval(at, at + 1, whole.zone), unit).starts[0] == at for at in (whole.start, whole.end))
        if all(limits):
            count = len(buckets(whole, unit).starts)
            other = replace(whole, start=units_before(count, unit, whole.start, whole.zone), end=whole.start)
            if unit is _YEAR and until < whole.end:
                # Not after the same time: years differ by a day.
                return replace(other, end=max(other.start, _years_earlier(until, count, whole.zone)))
            return _cut(other, whole, until)
    return _cut(replace(whole, start=2 * whole.start - whole.end, end=whole.start), whole, until)


def _previous_year(whole: Interval, until: int) -> Interval:
    start = a_year_earlier(whole.start, whole.zone)
    local_end = wall_time(whole.end, whole.zone)
    date = datetime_of(local_end)
    if (date.month, date.day) == (2, 29) and local_end % DAY:
        # It ends within a day that the year before lacks. By that day's name it would lose a day, maybe its only one.
        return _cut(_moved(whole, start), whole, until)
    # Where the clocks go back, an interval can end at an earlier local time than it starts.
    return replace(whole, start=start, end=max(start, _years_earlier(until, 1, whole.zone)))


def _moved(whole: Interval, start: int) -> Interval:
    """Return the interval of the same local length that starts there."""
    length = wall_time(whole.end, whole.zone) - wall_time(whole.start, whole.zone)
    end = moment_at(wall_time(start, whole.zone) + length, whole.zone)
    return replace(whole, start=start, end=max(start, end))


def _years_earlier(end: int, count: int, zone: ZoneInfo) -> int:
    """Return the end of an interval so many years earlier.

    It follows from the last moment within: the end of 28 February is one year earlier that of 28 February, too, whether
    the 29th or March begins there.
    """
    last = end - 1
    for _ in range(count):
        last = a_year_earlier(last, zone)
    return last + 1


def _cut(other: Interval, whole: Interval, until: int) -> Interval:
    """Return the other interval, cut after the same local time as the whole one at `until`."""
    if until == whole.end:
        return other
    elapsed = wall_time(until, whole.zone) - wall_time(whole.start, whole.zone)
    cut = moment_at(wall_time(other.start, whole.zone) + elapsed, whole.zone)
    return replace(other, end=min(other.end, max(other.start, cut)))


COMPARED_WITH: Mapping[str, Callable[[Interval, int], Interval]] = MappingProxyType(
    {"previous_period": _previous_period, "previous_year": _previous_year}
)
"""Functions of the whole interval and the moment until which it is evaluated: its end or, if it is not over, now."""


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison with the interval of this name, or with a fixed one."""

    to: str | Interval

    def to_json(self) -> Json:
        """Return the comparison as the language writes it."""
        return {"to": self.to if isinstance(self.to, str) else self.to.to_json()}

    def sides(self, resolved: Resolved, now: int) -> tuple[Interval, Interval]:
        """Return the report's interval and the one it is compared with.

        An interval that is not over is evaluated until now, and the other one is cut at the same place.
        """
        whole = replace(resolved.interval, end=resolved.whole_end)
        until = min(whole.end, max(whole.start, now))
        other = COMPARED_WITH[self.to](whole, until) if isinstance(self.to, str) else _cut(self.to, whole, until)
        return replace(whole, end=until), other


def previous(name: str) -> str:
    """Return the name of a column for the other interval."""
    return f"{name}{_PREVIOUS}"


def compared_names(name: str) -> tuple[str, str, str]:
    """Return the names of the columns that a comparison makes of one."""
    return name, previous(name), f"{name}{_CHANGE}"


def compared(side: Sequence[MetricColumn]) -> tuple[MetricColumn, ...]:
    """Return the columns of both sides: each of one side's, its previous value, and the change."""
    return tuple(
        each
        for column in side
        for each in (
            column,
            replace(column, name=previous(column.name), raw=previous(column.raw) if column.raw else ""),
            MetricColumn(f"{column.name}{_CHANGE}", "float", change(column.empty, column.empty), column.pointer),
        )
    )


def change(now: Number | None, before: Number | None) -> float | None:
    """Return the change in relation to the value before; null if that is null or 0, or if a value is missing."""
    if now is None or not before:
        return None
    result = (float(now) - float(before)) / abs(float(before))
    return result if isfinite(result) else None


def change_to_druid(name: str) -> Json:
    """Return the post-aggregator of a column's change, which computes as `change` does."""
    now, before = (f"cast(\"{each}\", 'DOUBLE')" for each in (name, previous(name)))
    return finite(f"{name}{_CHANGE}", f"if({before} == 0, null, ({now} - {before}) / abs({before}))")


def join(now: Sequence[Number | None], before: Sequence[Number | None]) -> Sequence[Number | None]:
    """Return the numbers of both sides in the order of `compared`."""
    return tuple(each for a, b in zip(now, before, strict=True) for each in (a, b, change(a, b)))
