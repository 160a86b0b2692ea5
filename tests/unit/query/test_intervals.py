"""Relative intervals and comparison intervals at the edges of local time."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.query.advice import advice
from gateway.query.time import format_moment, parse_timestamp
from tests.unit.query.conftest import Planner


def moments(planner: Planner, interval: dict[str, Any], now: str, **parts: Any) -> list[str]:
    """The moments that the interval means, and those that it is compared with."""
    zone = ZoneInfo(interval["time_zone"])
    body = {"interval": interval, "aggregations": [{"type": "count"}], **parts}
    planned = planner(body, now=parse_timestamp(now, zone))
    sides = [planned.interval, *([] if planned.compared is None else [planned.compared.interval])]
    return [format_moment(at, zone)[:16] for side in sides for at in (side.start, side.end)]


def last(planner: Planner, duration: str, now: str, zone: str = "Europe/Helsinki", **more: Any) -> list[str]:
    return moments(planner, {"last": duration, "time_zone": zone, **more}, now)


@pytest.mark.parametrize(
    ("duration", "now", "start", "end"),
    [
        ("P1D", "2019-05-01T23:59:59.999", "2019-04-30T00:00", "2019-05-01T00:00"),
        ("P1D", "2019-05-02T00:00:00.000", "2019-05-01T00:00", "2019-05-02T00:00"),
        ("P7D", "2019-04-03T12:34:56.789", "2019-03-27T00:00", "2019-04-03T00:00"),
        ("P1W", "2019-05-01", "2019-04-22T00:00", "2019-04-29T00:00"),
        ("P2M", "2019-03-31T23:59:59.999", "2019-01-01T00:00", "2019-03-01T00:00"),
        ("P1Y", "2020-02-29T12:00", "2019-01-01T00:00", "2020-01-01T00:00"),
        ("PT3H", "2019-03-31T05:30", "2019-03-31T01:00", "2019-03-31T05:00"),
        ("PT90M", "2019-05-01T00:10:59.999", "2019-04-30T22:40", "2019-05-01T00:10"),
    ],
)
def test_last_means_whole_local_units(planner: Planner, duration: str, now: str, start: str, end: str) -> None:
    assert last(planner, duration, now) == [start, end]


def test_the_current_unit_can_be_the_last_one_and_ends_with_the_minute(planner: Planner) -> None:
    assert last(planner, "P2D", "2019-05-01T12:34:56.789", include_current=True) == [
        "2019-04-30T00:00",
        "2019-05-01T12:34",
    ]


@pytest.mark.parametrize(
    ("now", "start"),
    [
        ("2018-11-03T23:59:59.999-03:00", "2018-11-03T00:00"),
        # Midnight is skipped: the day starts at one o'clock.
        ("2018-11-04T01:00:00.000-02:00", "2018-11-04T01:00"),
        ("2018-11-04T12:00:00.000-02:00", "2018-11-04T01:00"),
    ],
)
def test_a_day_without_a_midnight_starts_with_its_first_moment(planner: Planner, now: str, start: str) -> None:
    found = moments(planner, {"current": "day", "time_zone": "America/Sao_Paulo"}, now)
    assert found[0] == start
    assert last(planner, "P1D", now, "America/Sao_Paulo")[1] == start


@pytest.mark.parametrize(
    ("start", "end", "to", "other"),
    [
        # 28 days of February are a month.
        ("2019-02-01", "2019-03-01", "previous_period", ["2019-01-01T00:00", "2019-02-01T00:00"]),
        ("2019-04-01", "2019-07-01", "previous_period", ["2019-01-01T00:00", "2019-04-01T00:00"]),
        # A day of 23 hours is a day.
        ("2019-03-31", "2019-04-01", "previous_period", ["2019-03-30T00:00", "2019-03-31T00:00"]),
        ("2019-03-25", "2019-04-08", "previous_period", ["2019-03-11T00:00", "2019-03-25T00:00"]),
        ("2019-05-01T06:00", "2019-05-01T18:00", "previous_period", ["2019-04-30T18:00", "2019-05-01T06:00"]),
        ("2020-02-29", "2020-03-01", "previous_year", ["2019-02-28T00:00", "2019-03-01T00:00"]),
        ("2019-03-31", "2019-04-01", "previous_year", ["2018-03-31T00:00", "2018-04-01T00:00"]),
        # 28 February is compared with 28 February, also in a leap year.
        ("2024-02-28", "2024-02-29", "previous_year", ["2023-02-28T00:00", "2023-03-01T00:00"]),
        ("2025-02-28", "2025-03-01", "previous_year", ["2024-02-28T00:00", "2024-02-29T00:00"]),
        # One that ends within 29 February keeps its length.
        ("2024-02-28T12:00", "2024-02-29T12:00", "previous_year", ["2023-02-28T12:00", "2023-03-01T12:00"]),
        ("2024-02-29T06:00", "2024-02-29T12:00", "previous_year", ["2023-02-28T06:00", "2023-02-28T12:00"]),
        ("2024-02-29T06:00", "2024-03-01T06:00", "previous_year", ["2023-02-28T06:00", "2023-03-01T06:00"]),
    ],
)
def test_an_interval_is_compared_with_local_calendar_units(
    planner: Planner, start: str, end: str, to: str, other: list[str]
) -> None:
    interval = {"start": start, "end": end, "time_zone": "Europe/Helsinki"}
    assert moments(planner, interval, "2026-01-01", compare={"to": to})[2:] == other


def test_an_interval_that_is_not_over_is_compared_up_to_the_same_local_time(planner: Planner) -> None:
    now = "2019-11-10T15:30:59"
    expected = ["2019-11-01T00:00", "2019-11-10T15:30", "2019-10-01T00:00", "2019-10-10T15:30"]
    for interval in ({"current": "month"}, {"start": "2019-11-01", "end": "2019-12-01"}):
        found = moments(planner, {**interval, "time_zone": "Europe/Helsinki"}, now, compare={"to": "previous_period"})
        assert found == expected


@pytest.mark.parametrize("to", ["previous_year", "previous_period"])
@pytest.mark.parametrize(
    ("now", "until"),
    [("2025-03-05T12:00", "2024-03-05T12:00"), ("2024-03-05T12:00", "2023-03-05T12:00"),
     ("2024-02-29T12:00", "2023-02-28T12:00")],
)  # fmt: skip
def test_a_year_that_is_not_over_is_compared_up_to_the_same_day(
    planner: Planner, to: str, now: str, until: str
) -> None:
    year = now[:4]
    fixed = {"start": f"{year}-01-01", "end": f"{int(year) + 1}-01-01"}
    for interval in ({"current": "year"}, fixed):
        found = moments(planner, {**interval, "time_zone": "Europe/Helsinki"}, now, compare={"to": to})
        assert found == [f"{year}-01-01T00:00", now, f"{int(year) - 1}-01-01T00:00", until]


def test_a_compared_interval_that_is_not_over_has_a_warning(planner: Planner) -> None:
    interval = {"start": "2024-01-01", "end": "2025-01-01"}
    now = parse_timestamp("2024-03-05T12:00", ZoneInfo("UTC"))
    body = {"interval": interval, "aggregations": [{"type": "count"}], "compare": {"to": "previous_period"}}
    assert "interval_not_over" in [each.code for each in advice(planner(body, now=now), now)]
    relative = body | {"interval": {"current": "year"}}
    assert "interval_not_over" not in [each.code for each in advice(planner(relative, now=now), now)]
