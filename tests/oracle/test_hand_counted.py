"""The oracle itself, compared with the counts by hand in ingestion-specs/samples/README.md and with known changes."""

from typing import Any

import pytest

from tests.conftest import SAMPLES
from tests.oracle import clock
from tests.oracle.oracle import Oracle
from tests.serving import D, P, T

WHOLE = {"start": "2018-12-01", "end": "2020-02-01", "time_zone": "Europe/Helsinki"}
NUMBERS = ["user_message_count", "visitor_message_count", "order_count", "sales", "subscription_sales"]
UNIQUES = ["chat_session_id", "visitor_ids", "visitor_session_ids"]
COUNTED = [
    (D, None, "org", (17, 17, 12, 18, 16, 29, 8, 138.79, 13.20)),
    (D, None, "team", (4, 3, 3, 4, 12, 12, 4, 41.00, 9.90)),
    (P, None, "user", (1, 1, 1, 1, 2, 1, 1, 40.00, 0.00)),
    (T, None, "org", (1, 1, 2, 2, 5, 2, 0, 0, 0)),
    (D, P, "org", (2, 2, 4, 4, 6, 6, 2, 25.50, 9.90)),
    (D, P, "user", (2, 1, 3, 3, 6, 10, 3, 31.00, 9.90)),
]


@pytest.fixture(scope="module")
def hand_counted() -> Oracle:
    return Oracle(SAMPLES / "hand_counted.jsonl")


@pytest.mark.parametrize(("owner", "involved", "scope", "counted"), COUNTED)
def test_the_oracle_agrees_with_counts_by_hand(
    hand_counted: Oracle, owner: str, involved: str | None, scope: str, counted: tuple[float, ...]
) -> None:
    body = {
        "interval": WHOLE,
        "aggregations": [
            {"type": "count"},
            {"type": "hyperUnique", "fields": UNIQUES},
            {"type": "sum", "fields": NUMBERS},
        ],
        "filters": {"type": "selector", "dimension": "scope", "value": scope},
    }
    [(_, *numbers)] = hand_counted.answer(body, owner=owner, involved=involved).rows
    assert numbers == pytest.approx(counted)


def test_each_value_of_a_set_is_a_group_and_null_is_one(hand_counted: Oracle) -> None:
    body = {
        "interval": WHOLE,
        "group_by": ["room_ids"],
        "aggregations": [{"type": "count"}],
        "filters": {"type": "selector", "dimension": "scope", "value": "org"},
        "order_by": [{"column": "count", "direction": "descending"}],
    }
    rows = [row[1:] for row in hand_counted.answer(body, owner=D).rows]
    assert rows == [("r1", 12), ("r2", 4), (None, 1), ("r3", 1)]


def test_days_follow_local_time(hand_counted: Oracle) -> None:
    body = {
        "interval": {**WHOLE, "start": "2019-10-26", "end": "2019-10-28T23:59:59.999"},
        "granularity": "day",
        "aggregations": [{"type": "count"}],
        "filters": [{"type": "selector", "dimension": "scope", "value": "org"}],
    }
    assert hand_counted.answer(body, owner=D).rows == [
        ("2019-10-26T00:00:00.000+03:00", 1),
        ("2019-10-27T00:00:00.000+03:00", 4),
        ("2019-10-28T00:00:00.000+02:00", 1),
    ]


@pytest.mark.parametrize(
    ("zone", "granularity", "start", "end", "begin"),
    [
        # Midnight is skipped; the day starts at one.
        ("America/Sao_Paulo", "day", "2018-11-04", "2018-11-05", ["2018-11-04T01:00:00.000-02:00"]),
        # A repeated hour is two hours, and part of one six-hour bucket.
        (
            "Europe/Helsinki",
            "hour",
            "2019-10-27T03:00",
            "2019-10-27T04:00",
            ["2019-10-27T03:00:00.000+03:00", "2019-10-27T03:00:00.000+02:00"],
        ),
        ("Europe/Helsinki", "six_hour", "2019-10-27", "2019-10-27T06:00", ["2019-10-27T00:00:00.000+03:00"]),
        # Half an hour is skipped; the rest of the hour is a bucket of its own.
        (
            "Australia/Lord_Howe",
            "hour",
            "2019-10-06T01:00",
            "2019-10-06T04:00",
            ["2019-10-06T01:00:00.000+10:30", "2019-10-06T02:30:00.000+11:00", "2019-10-06T03:00:00.000+11:00"],
        ),
        ("Asia/Kathmandu", "hour", "2019-01-01T00:30", "2019-01-01T00:31", ["2019-01-01T00:00:00.000+05:45"]),
        ("UTC", "week", "2019-01-01", "2019-01-07", ["2018-12-31T00:00:00.000+00:00"]),
    ],
)
def test_buckets_start_at_local_time(zone: str, granularity: str, start: str, end: str, begin: list[str]) -> None:
    first, last = clock.moment(start, zone), clock.moment(end, zone, end=True)
    found = clock.buckets(first, last, granularity, zone)
    assert [clock.shown(at, zone) for at in found] == begin
    step = max(1, (last - first) // 1000)
    assert {clock.bucket_of(at, granularity, zone) for at in range(first, last, step)} == set(found)


@pytest.mark.parametrize(
    ("text", "end", "same"),
    [
        ("2019-01-01T23:59:59.999", True, "2019-01-02T00:00:00.000Z"),
        ("2019-01-01T23:59:59.9991", True, "2019-01-02T00:00:00.000Z"),
        ("2019-01-01T23:59:59.999", False, "2019-01-01T23:59:59.999Z"),
        ("2019-01-01T23:59:59.998001", True, "2019-01-01T23:59:59.999Z"),
        ("2019-01-01T02:00+02:00", False, "2019-01-01T00:00:00.000Z"),
        ("2019-01-01", False, "2019-01-01T00:00:00Z"),
    ],
)
def test_timestamps_are_read_as_documented(text: str, end: bool, same: str) -> None:  # noqa: FBT001 a parameter of the test
    assert clock.moment(text, "UTC", end=end) == clock.moment(same, "UTC")


def test_a_repeated_local_time_is_the_first_one_and_a_skipped_one_moves_on() -> None:
    zone = "Europe/Helsinki"
    assert clock.shown(clock.moment("2019-10-27T03:30", zone), zone) == "2019-10-27T03:30:00.000+03:00"
    assert clock.shown(clock.moment("2019-03-31T03:30", zone), zone) == "2019-03-31T04:30:00.000+03:00"


def test_over_no_rows_a_sum_is_zero_and_an_average_is_null(hand_counted: Oracle) -> None:
    body: dict[str, Any] = {
        "interval": {"start": "2015-01-01", "end": "2015-01-03"},
        "granularity": "day",
        "aggregations": [
            {"type": "count"},
            *({"type": kind, "fields": ["sales"]} for kind in ("sum", "avg")),
            {"type": "hyperUnique", "fields": ["visitor_ids"]},
        ],
        "totals": True,
    }
    expected = hand_counted.answer(body, owner=D)
    assert [row[1:] for row in expected.rows] == [(0, 0.0, None, 0.0)] * 2
    assert expected.totals == ("2015-01-01T00:00:00.000+00:00", 0, 0.0, None, 0.0)
