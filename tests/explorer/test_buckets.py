"""The page finds the start of a bucket, and reads local times, as the gateway does."""

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from gateway.query.buckets import GRANULARITIES, buckets
from gateway.query.intervals import form_of
from gateway.query.time import Interval, format_moment, parse_timestamp
from tests.explorer.modules import Modules

ZONES = (
    "UTC",
    "Europe/Helsinki",
    "America/New_York",
    "America/Havana",  # the clocks go back at one o'clock to midnight
    "America/Sao_Paulo",  # midnight was skipped until 2018
    "Australia/Lord_Howe",  # half an hour of daylight saving time
    "Asia/Kathmandu",
    "Pacific/Apia",  # 30 December 2011 was skipped
)
LONG = {"week", "month", "quarter", "year"}


@pytest.mark.parametrize("name", ZONES)
def test_the_next_bucket_starts_where_the_gateway_starts_it(modules: Modules, name: str) -> None:
    zone = ZoneInfo(name)
    asked, expected = [], []
    for granularity in GRANULARITIES.values():
        for first, last in (("2011-12-28", "2012-01-02"), ("2018-10-29", "2018-11-09"), ("2018-03-08", "2018-04-03")):
            start = parse_timestamp("2010-01-01" if granularity.name in LONG else first, zone)
            interval = Interval(start, parse_timestamp("2019-01-02" if granularity.name in LONG else last, zone), zone)
            # The first bucket may start before the interval.
            for bucket, following in pairwise(buckets(interval, granularity).starts[1:]):
                asked.append((bucket, granularity.name))
                expected.append(following)
    found = modules.evaluate("asked.map(([start, each]) => startOf(start, each, zone, 1))", asked=asked, zone=name)
    differing = [(*each, a, b) for each, a, b in zip(asked, expected, found, strict=True) if a != b]
    assert differing == []


@pytest.mark.parametrize("name", ZONES)
def test_a_local_time_is_the_moment_that_the_gateway_reads(modules: Modules, name: str) -> None:
    zone = ZoneInfo(name)
    texts = [
        "2019-07-01",
        "2019-01-01T12:30",
        "2019-01-01T12:30:15.250",
        "2019-01-01T00:00:00.000+05:45",
        "2019-01-01T00:00:00Z",
        "2011-12-30T12:00",  # skipped in Apia
        "2018-03-11T02:30",  # skipped in New York
        "2018-10-07T02:15",  # skipped on Lord Howe
        "2018-11-04T00:30",  # skipped in São Paulo, twice in Havana
        "2018-11-04T01:30",  # twice in New York
        "2019-10-27T03:30",  # twice in Helsinki
    ]
    found = modules.evaluate("texts.map((text) => momentOf(text, zone))", zone=name, texts=texts)
    assert found == [parse_timestamp(text, zone) for text in texts]
    shown = modules.evaluate("moments.map((each) => showIso(each, zone))", zone=name, moments=found)
    assert shown == [format_moment(each, zone) for each in found]


@pytest.mark.parametrize(
    "interval",
    [
        {"last": "PT30M"},
        {"last": "PT6H"},
        {"last": "P7D"},
        {"last": "P2W"},
        {"last": "P14M"},
        {"last": "P1Y"},
        {"last": "P7D", "include_current": True},
        {"current": "day"},
        {"current": "quarter"},
    ],
)
@pytest.mark.parametrize("name", ["America/New_York", "Europe/Helsinki"])
def test_a_relative_interval_has_the_gateways_dates(modules: Modules, name: str, interval: dict[str, object]) -> None:
    zone = ZoneInfo(name)
    now = parse_timestamp("2019-03-31T22:17:30", zone)
    resolved = form_of(interval).parse(interval, zone).resolve(now)
    found = modules.evaluate("bounds(interval, now)", interval={**interval, "time_zone": name}, now=now)
    # A current unit counts as a whole one: an interval that has just begun must not be empty.
    moments = (resolved.interval.start, resolved.whole_end)
    assert found == {key: format_moment(each, zone) for key, each in zip(("start", "end"), moments, strict=True)}


@pytest.mark.parametrize("interval", [{}, {"last": "7 days"}, {"last": "PT7Y"}, {"current": "decade"}])
def test_an_interval_that_is_not_valid_has_no_dates(modules: Modules, interval: dict[str, str]) -> None:
    assert modules.evaluate("bounds(interval, 0)", interval=interval) == {}
