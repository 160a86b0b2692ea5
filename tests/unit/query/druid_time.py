"""Druid's computation of a bucket's label, written from its documentation: what a compiled query means without a Druid.

Interprets the native granularity of a timeseries and the expression of a groupBy's virtual column. Fails on anything
that depends on a tz database.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from gateway.query.group_selection import LABEL

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
OFFSET = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d))?")
PERIOD = re.compile(r"PT?(\d+)([MHDWY])")
MILLISECONDS = {"M": 60_000, "H": 3_600_000}


def labels(native: dict[str, Any]) -> Callable[[int], int]:
    """Return the function from the moment of a row to its label."""
    if native["queryType"] == "timeseries":
        granularity = native["granularity"]
        assert granularity["type"] == "period"
        period, origin, zone = granularity["period"], granularity.get("origin"), granularity["timeZone"]
        return lambda moment: _floor(moment, period, origin, zone)
    [column] = native["virtualColumns"]
    assert column["name"] == LABEL
    code = column["expression"].replace('"__time"', "time").replace("if(", "choose(").replace("null", "None")
    names = {"__builtins__": {}, "timestamp_floor": _floor, "choose": lambda c, a, b: a if c else b}
    function: Callable[[int], int] = eval(f"lambda time: {code}", names)
    return function


def _floor(moment: int, period: str, origin: str | None, zone: str) -> int:
    match = PERIOD.fullmatch(period)
    assert match, period
    count, unit = int(match[1]), match[2]
    local = EPOCH.astimezone(_zone(zone)) + moment * MILLISECOND
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if period.startswith("PT"):
        begin = EPOCH.replace(tzinfo=_zone(zone)) if origin is None else datetime.fromisoformat(origin)
        step = count * MILLISECONDS[unit] * MILLISECOND
        start = begin + (local - begin) // step * step
    elif unit == "D":
        start = midnight
    elif unit == "W":
        start = midnight - timedelta(days=midnight.weekday())
    else:
        months = count * (12 if unit == "Y" else 1)
        start = midnight.replace(month=(local.month - 1) // months * months + 1, day=1)
    return (start - EPOCH) // MILLISECOND


def _zone(text: str) -> timezone:
    if text == "UTC":
        return UTC
    match = OFFSET.fullmatch(text)
    assert match, f"{text} depends on a tz database"
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-offset if match[1] == "-" else offset)
