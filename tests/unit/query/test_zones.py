"""Every zone from 1970 to 2037: Druid, which never learns the zone, computes the buckets that the zone's clock shows.

The expected buckets come from the oracle's clock, which shares no code with the gateway.
"""

import json
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from gateway.query.buckets import GRANULARITIES, buckets
from gateway.query.compile import compile_report
from gateway.query.describe import describe
from gateway.query.plan import Plan
from gateway.query.schema import ReportSchema
from gateway.query.time import Interval
from gateway.query.zones import TIME_ZONES, TZDATA_VERSION, Span, spans
from tests.oracle import clock
from tests.unit.query.conftest import Planner
from tests.unit.query.druid_time import labels

pytestmark = pytest.mark.slow
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000 for year in (1970, 2038))
AROUND = (-DAY, -2 * HOUR, -HOUR - 1, -30 * MINUTE, -1, 0, 1, 30 * MINUTE, HOUR, DAY)
LONG = ("day", "week", "month", "quarter", "year")


@cache
def all_spans(key: str) -> tuple[Span, ...]:
    return spans(ZoneInfo(key), FIRST, LAST)


def changes(key: str) -> list[int]:
    """When the zone's offset changes from 1970 to 2037."""
    return [span.start for span in all_spans(key)[1:]]


def distinct_zones() -> list[str]:
    """One name for each set of rules: many zones are links to others."""
    by_rules = {_tzif(key): key for key in sorted(TIME_ZONES, reverse=True)}
    return sorted(by_rules.values())


def _tzif(key: str) -> bytes:
    package, _, name = f"tzdata.zoneinfo.{key.replace('/', '.')}".rpartition(".")
    return resources.files(package).joinpath(name).read_bytes()


def transitions(key: str) -> Iterator[int]:
    """Every change of the offset that the zone's TZif file lists (RFC 8536), in milliseconds."""
    data = _tzif(key)
    # The header and the block of version 1 come first.
    utc, std, leap, times, types, chars = struct.unpack(">6l", data[20:44])
    data = data[44 + times * 5 + types * 6 + chars + leap * 8 + std + utc :]
    _, _, _, times, types, _ = struct.unpack(">6l", data[20:44])
    moments = struct.unpack(f">{times}q", data[44 : 44 + times * 8])
    indexes = data[44 + times * 8 : 44 + times * 9]
    table = data[44 + times * 9 :]
    offsets = [struct.unpack(">l", table[index * 6 : index * 6 + 4])[0] for index in range(types)]
    before = offsets[0]
    for moment, index in zip(moments, indexes, strict=True):
        if offsets[index] != before:
            yield moment * 1000
        before = offsets[index]


@pytest.mark.parametrize("keys", [distinct_zones()[start::8] for start in range(8)])
def test_no_change_of_an_offset_is_missed(keys: list[str]) -> None:
    for key in keys:
        listed = [moment for moment in transitions(key) if FIRST < moment < LAST]
        assert [moment for moment in changes(key) if moment <= max(listed, default=0)] == listed, key


def planned(planner: Planner, granularity: str, interval: Interval) -> Plan:
    """A plan for any interval, however long."""
    body = {
        "interval": {"start": "2019-01-01", "end": "2019-01-02"},
        "granularity": granularity,
        "aggregations": [{"type": "count"}],
    }
    made = planner(body)
    return replace(made, interval=interval, buckets=buckets(interval, GRANULARITIES[granularity]))


def wrong(made: Plan, moments: list[int]) -> Iterator[str]:
    """Where Druid's label of a row is not that of the bucket in which the oracle sees it."""
    assert made.buckets is not None
    assert made.report.granularity is not None
    label = labels(compile_report(made).native)
    starts = dict(zip(made.buckets.labels, made.buckets.starts, strict=True))
    key = made.interval.zone.key
    for moment in moments:
        got, expected = starts.get(label(moment)), clock.bucket_of(moment, made.report.granularity.name, key)
        if got != expected:
            yield f"{key} {made.report.granularity.name} {moment}: {got}, not {expected}"


@pytest.mark.parametrize("granularity", LONG)
@pytest.mark.parametrize("part", range(4))
def test_long_buckets_of_every_zone_across_all_changes(part: int, granularity: str, planner: Planner) -> None:
    """One interval of 68 years for each zone: more than a hundred changes in one query."""
    found: list[str] = []
    for key in distinct_zones()[part::4]:
        moments = [at + distance for at in changes(key) for distance in (-1, 0, 30 * MINUTE, DAY)]
        interval = Interval(FIRST, LAST, ZoneInfo(key))
        if granularity == "day":
            # Shorter, but with all zones: one change at least on either side of the middle.
            interval = replace(interval, start=FIRST + 20 * 365 * DAY, end=FIRST + 40 * 365 * DAY)
        inside = [each for each in moments if interval.start <= each < interval.end]
        found += wrong(planned(planner, granularity, interval), inside)
    assert found == []


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_buckets_around_each_kind_of_change(granularity: str, planner: Planner) -> None:
    """Changes of the same offsets at the same local time have the same buckets around them, so one of each suffices."""
    kinds = {
        (before.offset, after.offset, (after.start + before.offset) % DAY): (key, after.start)
        for key in distinct_zones()
        for before, after in pairwise(all_spans(key))
    }
    assert len(kinds) > 100
    found: list[str] = []
    distance = DAY if GRANULARITIES[granularity].longest < HOUR else 2 * DAY
    for key, at in kinds.values():
        # An interval that starts after a change may have a first bucket that starts before it. One that starts shortly
        # before a change may have a first bucket that is that of earlier local times again after it.
        later, soon = at + distance, at + 3 * HOUR
        for start, end in ((at - distance, later), (at + 9 * MINUTE, later), (at - HOUR, soon), (at - MINUTE, soon)):
            interval = Interval(start, end, ZoneInfo(key))
            moments = [moment for moment in (at + each for each in AROUND) if start <= moment < interval.end]
            made = planned(planner, granularity, interval)
            found += wrong(made, moments)
            assert made.buckets is not None
            for each in (made.buckets.labels, made.buckets.starts):
                assert list(each) == sorted(set(each)), (key, interval)
    assert found == []


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_no_query_depends_on_the_tz_database_of_druid(granularity: str, planner: Planner) -> None:
    """A Druid whose rules differ therefore returns the same rows."""
    for key in sorted(TIME_ZONES):
        middle = changes(key)[-1] if changes(key) else 17_897 * DAY
        interval = Interval(middle - 2 * DAY, middle + 2 * DAY, ZoneInfo(key))
        made = planned(planner, granularity, interval)
        for groups in ((), (made.dataset.by_name["scope"],)):
            text = json.dumps(compile_report(replace(made, report=replace(made.report, group_by=groups))).native)
            zones = re.findall(r'"timeZone": "([^"]+)"|, \'([^\']+)\'\)', text)
            assert zones
            for offset in (a or b for a, b in zones):
                assert re.fullmatch(r"UTC|[+-]\d\d:\d\d(:\d\d)?", offset), (key, offset)


def test_the_expression_is_shallow_however_many_changes_an_interval_has(planner: Planner) -> None:
    interval = Interval(FIRST, LAST, ZoneInfo("Africa/Cairo"))
    made = planned(planner, "month", interval)
    assert made.buckets is not None
    assert len(made.buckets.spans) > 100
    [column] = compile_report(made).native["virtualColumns"]
    depths = [0]
    for character in column["expression"]:
        depths.append(depths[-1] + {"(": 1, ")": -1}.get(character, 0))
    assert max(depths) <= 10
    assert len(column["expression"]) < 50 * len(made.buckets.spans)


@pytest.mark.parametrize(
    ("zone", "start", "end", "granularity", "fixed"),
    [
        ("Europe/Helsinki", "2019-03-30", "2019-04-02", "hour", True),
        ("Europe/Helsinki", "2019-03-30", "2019-04-02", "day", False),
        ("Europe/Helsinki", "2015-01-01", "2020-01-01", "year", True),
        ("Europe/Helsinki", "2019-01-01", "2020-01-01", "month", False),
        ("Europe/Helsinki", "2019-03-01", "2019-04-01", "month", True),
        ("Australia/Lord_Howe", "2019-04-06", "2019-04-08", "hour", False),
        ("Australia/Lord_Howe", "2019-04-06", "2019-04-08", "thirty_minute", True),
        ("Asia/Kolkata", "1970-01-01", "2030-01-01", "day", True),
        # The day that Samoa skipped, and a midnight that Havana repeated.
        ("Pacific/Apia", "2011-12-28", "2012-01-02", "day", False),
        ("America/Havana", "2019-11-02", "2019-11-05", "day", False),
        # A minute of the next day before the clocks go back into the old one: its buckets are not contiguous.
        ("America/St_Johns", "2010-11-06", "2010-11-08", "day", False),
    ],
)
def test_druids_granularity_is_used_exactly_where_one_offset_yields_the_same_buckets(
    zone: str,
    start: str,
    end: str,
    granularity: str,
    fixed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    interval = Interval(clock.moment(start, zone), clock.moment(end, zone), ZoneInfo(zone))
    assert buckets(interval, GRANULARITIES[granularity]).have_fixed_offset is fixed


def test_only_zones_of_the_package_are_offered(schema: ReportSchema) -> None:
    assert {"UTC", "Europe/Helsinki", "America/Coyhaique"} <= TIME_ZONES
    assert not TIME_ZONES & {"Factory", "localtime", "posixrules"}
    assert re.fullmatch(r"20\d\d[a-z]", TZDATA_VERSION)
    assert describe(schema.dataset, schema.limits)["tz_database"] == TZDATA_VERSION


def test_the_systems_tz_database_is_not_read() -> None:
    code = (
        "from zoneinfo import ZoneInfo; ZoneInfo('Europe/Helsinki'); import gateway.query.zones, zoneinfo;"
        "print(zoneinfo.TZPATH)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONTZPATH": "/usr/share/zoneinfo"}, check=True, capture_output=True
    )
    assert run.stdout.split() == [b"()"]
