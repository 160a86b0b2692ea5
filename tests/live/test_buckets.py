"""Buckets start at local time around both daylight saving changes; counted by hand in the samples' README.md."""

import pytest

from tests.live.reports import ALL_TIME, ORG, buckets, report
from tests.serving import Gateway

HELSINKI = "Europe/Helsinki"


def test_days_around_new_year(hand_counted_gateway: Gateway) -> None:
    assert buckets(hand_counted_gateway, "2018-12-31", "2019-01-03", HELSINKI, "day") == {
        "2018-12-31T00:00:00.000+02:00": 1,
        "2019-01-01T00:00:00.000+02:00": 3,
        "2019-01-02T00:00:00.000+02:00": 1,
    }


def test_days_around_the_change_to_summer_time(hand_counted_gateway: Gateway) -> None:
    assert buckets(hand_counted_gateway, "2019-03-29", "2019-04-03", HELSINKI, "day") == {
        "2019-03-29T00:00:00.000+02:00": 0,
        "2019-03-30T00:00:00.000+02:00": 1,
        "2019-03-31T00:00:00.000+02:00": 4,
        "2019-04-01T00:00:00.000+03:00": 1,
        "2019-04-02T00:00:00.000+03:00": 0,
    }


def test_days_around_the_change_to_winter_time(hand_counted_gateway: Gateway) -> None:
    assert buckets(hand_counted_gateway, "2019-10-26", "2019-10-29", HELSINKI, "day") == {
        "2019-10-26T00:00:00.000+03:00": 1,
        "2019-10-27T00:00:00.000+03:00": 4,
        "2019-10-28T00:00:00.000+02:00": 1,
    }


def test_the_same_days_in_utc_contain_other_sessions(hand_counted_gateway: Gateway) -> None:
    assert buckets(hand_counted_gateway, "2019-03-30", "2019-04-01", "UTC", "day") == {
        "2019-03-30T00:00:00.000+00:00": 2,
        "2019-03-31T00:00:00.000+00:00": 4,
    }


def test_the_day_that_loses_an_hour_has_23_hours(hand_counted_gateway: Gateway) -> None:
    hours = buckets(hand_counted_gateway, "2019-03-31", "2019-04-01", HELSINKI, "hour")

    assert len(hours) == 23
    assert "2019-03-31T03:00:00.000+02:00" not in hours
    assert {start: count for start, count in hours.items() if count} == {
        "2019-03-31T00:00:00.000+02:00": 1,
        "2019-03-31T02:00:00.000+02:00": 1,
        "2019-03-31T04:00:00.000+03:00": 1,
        "2019-03-31T23:00:00.000+03:00": 1,
    }


def test_a_repeated_hour_is_two_buckets(hand_counted_gateway: Gateway) -> None:
    hours = buckets(hand_counted_gateway, "2019-10-27", "2019-10-28", HELSINKI, "hour")

    assert len(hours) == 25
    assert {start: count for start, count in hours.items() if count} == {
        "2019-10-27T00:00:00.000+03:00": 1,
        "2019-10-27T03:00:00.000+03:00": 1,
        "2019-10-27T03:00:00.000+02:00": 1,
        "2019-10-27T23:00:00.000+02:00": 1,
    }


def test_six_hours_follow_local_time(hand_counted_gateway: Gateway) -> None:
    assert buckets(hand_counted_gateway, "2019-03-31", "2019-04-01", HELSINKI, "six_hour") == {
        "2019-03-31T00:00:00.000+02:00": 3,
        "2019-03-31T06:00:00.000+03:00": 0,
        "2019-03-31T12:00:00.000+03:00": 0,
        "2019-03-31T18:00:00.000+03:00": 1,
    }
    assert buckets(hand_counted_gateway, "2019-10-27", "2019-10-28", HELSINKI, "six_hour") == {
        "2019-10-27T00:00:00.000+03:00": 3,
        "2019-10-27T06:00:00.000+02:00": 0,
        "2019-10-27T12:00:00.000+02:00": 0,
        "2019-10-27T18:00:00.000+02:00": 1,
    }


# s03 starts at noon on 2019-01-01.
@pytest.mark.parametrize(
    ("granularity", "start", "end", "counts"),
    [
        ("minute", "11:59", "12:02", {"11:59": 0, "12:00": 1, "12:01": 0}),
        ("five_minute", "11:55", "12:10", {"11:55": 0, "12:00": 1, "12:05": 0}),
        ("fifteen_minute", "11:45", "12:30", {"11:45": 0, "12:00": 1, "12:15": 0}),
        ("thirty_minute", "11:30", "13:00", {"11:30": 0, "12:00": 1, "12:30": 0}),
        ("hour", "11:00", "14:00", {"11:00": 0, "12:00": 1, "13:00": 0}),
        ("six_hour", "06:00", "18:00", {"06:00": 0, "12:00": 1}),
    ],
)
def test_parts_of_a_day(
    hand_counted_gateway: Gateway, granularity: str, start: str, end: str, counts: dict[str, int]
) -> None:
    told = buckets(hand_counted_gateway, f"2019-01-01T{start}", f"2019-01-01T{end}", HELSINKI, granularity)
    assert told == {f"2019-01-01T{clock}:00.000+02:00": count for clock, count in counts.items()}


def test_weeks_start_on_monday(hand_counted_gateway: Gateway) -> None:
    assert buckets(hand_counted_gateway, "2019-03-25", "2019-04-08", HELSINKI, "week") == {
        "2019-03-25T00:00:00.000+02:00": 5,
        "2019-04-01T00:00:00.000+03:00": 1,
    }
    # A first week that starts before the interval contains only rows of the interval: s04 and s05.
    assert buckets(hand_counted_gateway, "2019-01-01T20:00", "2019-01-08", HELSINKI, "week") == {
        "2018-12-31T00:00:00.000+02:00": 2,
        "2019-01-07T00:00:00.000+02:00": 0,
    }


def test_months(hand_counted_gateway: Gateway) -> None:
    months = buckets(hand_counted_gateway, "2018-12-01", "2020-01-01", HELSINKI, "month")
    assert months == {
        "2018-12-01T00:00:00.000+02:00": 1,
        "2019-01-01T00:00:00.000+02:00": 4,
        "2019-02-01T00:00:00.000+02:00": 0,
        "2019-03-01T00:00:00.000+02:00": 5,
        "2019-04-01T00:00:00.000+03:00": 1,
        **{f"2019-{month:02}-01T00:00:00.000+03:00": 0 for month in range(5, 10)},
        "2019-10-01T00:00:00.000+03:00": 6,
        "2019-11-01T00:00:00.000+02:00": 0,
        "2019-12-01T00:00:00.000+02:00": 0,
    }


def test_quarters_and_years(hand_counted_gateway: Gateway) -> None:
    assert buckets(hand_counted_gateway, "2018-10-01", "2020-01-01", HELSINKI, "quarter") == {
        "2018-10-01T00:00:00.000+03:00": 1,
        "2019-01-01T00:00:00.000+02:00": 9,
        "2019-04-01T00:00:00.000+03:00": 1,
        "2019-07-01T00:00:00.000+03:00": 0,
        "2019-10-01T00:00:00.000+03:00": 6,
    }
    assert buckets(hand_counted_gateway, "2018-01-01", "2020-01-01", HELSINKI, "year") == {
        "2018-01-01T00:00:00.000+02:00": 1,
        "2019-01-01T00:00:00.000+02:00": 16,
    }


@pytest.mark.parametrize(
    ("end", "count"),
    [
        # s04 starts at 23:59:59.999, s05 at the next midnight.
        ("2019-01-01T23:59:59.999+02:00", 3),
        ("2019-01-01T23:59:59.999", 3),
        ("2019-01-02T00:00:00.000+02:00", 3),
        ("2019-01-01T22:00:00Z", 3),
        ("2019-01-02", 3),
        ("2019-01-01T23:59:59.998+02:00", 2),
        ("2019-01-02T00:00:00.001+02:00", 4),
    ],
)
def test_the_end_is_exclusive_except_for_999_milliseconds(hand_counted_gateway: Gateway, end: str, count: int) -> None:
    start = "2019-01-01T00:00:00.000+02:00"
    assert buckets(hand_counted_gateway, start, end, HELSINKI, "all") == {start: count}


@pytest.mark.parametrize("granularity", ["day", "six_hour", "hour", "month"])
def test_the_groups_of_a_bucket_contain_its_rows(hand_counted_gateway: Gateway, granularity: str) -> None:
    whole = buckets(hand_counted_gateway, "2018-12-01", "2020-02-01", HELSINKI, granularity)
    body = report(interval=ALL_TIME, granularity=granularity, filters=ORG, group_by=["chat_session_id"])
    rows = hand_counted_gateway.post(body).data

    starts = [start for start, _, _ in rows]
    assert {start: starts.count(start) for start in starts} == {start: count for start, count in whole.items() if count}
    assert [session for _, session, _ in rows] == [f"s{n:02}" for n in range(1, 18)]
