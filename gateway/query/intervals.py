"""The forms of a report's `interval`, one class each. INTERVALS, at the end, is the only list of them.

What "now" is comes from the pipeline, rounded down to the minute.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Protocol, Self
from zoneinfo import ZoneInfo

from gateway.query.buckets import GRANULARITIES, Granularity, buckets
from gateway.query.literals import DURATION, Json
from gateway.query.time import Interval, parse_timestamp
from gateway.query.zones import DAY

_UNITS: Mapping[str, Granularity] = MappingProxyType(
    {
        period: GRANULARITIES[name]
        for period, name in {
            "PTM": "minute", "PTH": "hour", "PD": "day", "PW": "week", "PM": "month", "PY": "year",
        }.items()
    }
)  # fmt: skip
_CURRENT = ("day", "week", "month", "quarter", "year")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The moments that an interval means at one time, and the end of the whole units of which it is the beginning.

    `whole_end` is after the interval's end if the last unit is not over: a comparison begins with whole units.
    """

    interval: Interval
    whole_end: int


class IntervalForm(Protocol):
    """One form of an interval. `relative`: whether its moments depend on the time of the request."""

    relative: ClassVar[bool]

    @staticmethod
    def schema() -> Json:
        """Return the JSON Schema of the form's keys beside `time_zone`."""

    @classmethod
    def parse(cls, body: Json, zone: ZoneInfo) -> Self:
        """Read a body that is valid against the schema."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose local time counts."""

    def to_json(self) -> Json:
        """Return the interval as the language writes it, without `time_zone`."""

    def least_days(self) -> int:
        """Return a number of days that the interval certainly has, without computing its moments."""

    def resolve(self, now: int) -> Resolved:
        """Return the moments that it means at `now`."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """From `start` up to `end`."""

    relative: ClassVar = False

    interval: Interval

    @staticmethod
    def schema() -> Json:
        moment: Json = {"type": "string", "format": "timestamp"}
        return {"properties": {"start": moment, "end": moment}, "required": ["start", "end"]}

    @classmethod
    def parse(cls, body: Json, zone: ZoneInfo) -> Self:
        return cls(Interval(parse_timestamp(body["start"], zone), parse_timestamp(body["end"], zone, end=True), zone))

    @property
    def zone(self) -> ZoneInfo:
        return self.interval.zone

    def to_json(self) -> Json:
        return self.interval.to_json()

    def least_days(self) -> int:
        return self.interval.days

    def resolve(self, now: int) -> Resolved:  # noqa: ARG002 - the same at any time
        return Resolved(self.interval, self.interval.end)


@dataclass(frozen=True, slots=True)
class Last:
    """The last `count` units that are over or, with `include_current`, the units that end with the current one."""

    relative: ClassVar = True

    count: int
    period: str
    include_current: bool
    zone: ZoneInfo

    @staticmethod
    def schema() -> Json:
        return {
            "properties": {
                "last": {"type": "string", "pattern": DURATION},
                "include_current": {"type": "boolean", "default": False},
            },
            "required": ["last"],
        }

    @classmethod
    def parse(cls, body: Json, zone: ZoneInfo) -> Self:
        number = re.sub(r"\D", "", body["last"])
        return cls(int(number), body["last"].replace(number, ""), body.get("include_current", False), zone)

    def to_json(self) -> Json:
        return {"last": f"{self.period[:-1]}{self.count}{self.period[-1]}", "include_current": self.include_current}

    def least_days(self) -> int:
        # Ten percent less than the longest units have.
        return (self.count - 1) * _UNITS[self.period].longest * 9 // (10 * DAY)

    def resolve(self, now: int) -> Resolved:
        unit = _UNITS[self.period]
        start, following = _current(unit, now, self.zone)
        if not self.include_current:
            return Resolved(Interval(units_before(self.count, unit, start, self.zone), start, self.zone), start)
        return Resolved(Interval(units_before(self.count - 1, unit, start, self.zone), now, self.zone), following)


@dataclass(frozen=True, slots=True)
class Current:
    """From the start of the current unit until now."""

    relative: ClassVar = True

    unit: str
    zone: ZoneInfo

    @staticmethod
    def schema() -> Json:
        return {"properties": {"current": {"enum": list(_CURRENT)}}, "required": ["current"]}

    @classmethod
    def parse(cls, body: Json, zone: ZoneInfo) -> Self:
        return cls(body["current"], zone)

    def to_json(self) -> Json:
        return {"current": self.unit}

    def least_days(self) -> int:
        return 0

    def resolve(self, now: int) -> Resolved:
        start, following = _current(GRANULARITIES[self.unit], now, self.zone)
        return Resolved(Interval(start, now, self.zone), following)


INTERVALS: Mapping[str, type[IntervalForm]] = MappingProxyType({"last": Last, "current": Current, "start": Fixed})
"""The forms by the key that only they have. The last one also stands for a body with none of these keys."""


def form_of(body: Json) -> type[IntervalForm]:
    """Return the form of a valid interval."""
    return next(form for key, form in INTERVALS.items() if key in body)


def interval_schema(time_zone: Json) -> Json:
    """Return the JSON Schema of an interval, which dispatches by the key of a form with if/then/else."""
    keys = {"time_zone": time_zone}
    *others, fixed = INTERVALS.items()
    schema = _closed(fixed[1].schema(), keys)
    for key, form in reversed(others):
        schema = {"if": {"required": [key]}, "then": _closed(form.schema(), keys), "else": schema}
    return {"type": "object", **schema}


def _closed(schema: Json, keys: Json) -> Json:
    return {**schema, "properties": schema["properties"] | keys, "additionalProperties": False}


def units_before(count: int, unit: Granularity, start: int, zone: ZoneInfo) -> int:
    """Return the start of the unit that is `count` units before the one that starts at `start`."""
    if not count:
        return start
    earlier = Interval(start - (count + 2) * unit.longest, start, zone)
    return buckets(earlier, unit).starts[-count]


def _current(unit: Granularity, now: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return the starts of the unit that contains `now` and of the next one."""
    start, following, *_ = buckets(Interval(now, now + 2 * unit.longest, zone), unit).starts
    return start, following
