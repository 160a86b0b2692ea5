"""Druid's expressions for local time: a row's bucket, and the parts of its time. None contains text of the caller."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from gateway.catalog.model import TIME_PARTS
from gateway.query.buckets import Buckets
from gateway.query.literals import Json
from gateway.query.time import Interval
from gateway.query.zones import Span, datetime_of, spans

_UNITS: Mapping[str, str] = MappingProxyType(
    {"hour_of_day": "HOUR", "day_of_week": "DOW", "day_of_month": "DAY", "month_of_year": "MONTH"}
)
"""Druid's unit for each time part."""


def instant(moment: int) -> str:
    """Return the moment in UTC as Druid reads it."""
    return f"{datetime_of(moment).isoformat('T', 'milliseconds')[:-6]}Z"


def interval_text(interval: Interval) -> str:
    """Return the interval as Druid reads it."""
    return f"{instant(interval.start)}/{instant(interval.end)}"


def granularity(buckets: Buckets) -> Json:
    """Return Druid's granularity for buckets that have a fixed offset."""
    offset = _offset_id(buckets.spans[0].offset)
    period: Json = {"type": "period", "period": buckets.granularity.period, "timeZone": offset}
    return period | ({"origin": instant(buckets.origin)} if buckets.granularity.by_offset else {})


def label(name: str, buckets: Buckets) -> Json:
    """Return the virtual column with the label of a row's bucket."""
    period = buckets.granularity.period
    if buckets.have_fixed_offset:
        origin = f"'{instant(buckets.origin)}'" if buckets.granularity.by_offset else "null"
        zone = _offset_id(buckets.spans[0].offset)
        return _virtual(name, f"timestamp_floor(\"__time\", '{period}', {origin}, '{zone}')")
    offset = _offset(buckets.spans)
    floored = f"timestamp_floor(\"__time\" + {offset}, '{period}', null, 'UTC')"
    return _virtual(name, f"{floored} - {offset}" if buckets.granularity.by_offset else floored)


def time_parts(names: Iterable[str], interval: Interval) -> list[Json]:
    """Return the virtual columns of these time parts for rows within the interval."""
    offset = _offset(spans(interval.zone, interval.start, interval.end))
    return [
        _virtual(TIME_PARTS[name].column, f"timestamp_extract(\"__time\" + {offset}, '{_UNITS[name]}', 'UTC')")
        for name in names
    ]


def _virtual(name: str, expression: str) -> Json:
    return {"type": "expression", "name": name, "expression": expression, "outputType": "LONG"}


def _offset_id(offset: int) -> str:
    """Return the offset in the form that Druid accepts as a time zone."""
    sign, seconds = "-" if offset < 0 else "+", abs(offset) // 1000
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return text if seconds % 60 == 0 else f"{text}:{seconds % 60:02}"


def _offset(spans: Sequence[Span]) -> str:
    """Return the expression for the offset at a row's time: a binary search, so its depth is small for many spans."""
    if len(spans) == 1:
        return str(spans[0].offset)
    middle = len(spans) // 2
    return f'if("__time" < {spans[middle].start}, {_offset(spans[:middle])}, {_offset(spans[middle:])})'
