"""Until when an answer is complete, and which buckets are partial."""

from dataclasses import replace
from typing import Any

from gateway.catalog.stored import Rows
from gateway.query.advice import advice
from gateway.query.freshness import freshness
from tests.unit.query.conftest import Planner

DAY = 86_400_000
FIRST = 1_546_300_800_000
"""2019-01-01T00:00Z."""


def body(interval: dict[str, Any], granularity: str = "day") -> dict[str, Any]:
    return {"interval": interval, "granularity": granularity, "aggregations": [{"type": "count"}], "freshness": True}


def test_a_bucket_is_partial_if_it_ends_after_now(planner: Planner) -> None:
    now = FIRST + DAY + DAY // 2
    planned = planner(body({"start": "2019-01-01", "end": "2019-01-04"}), now=now)
    assert freshness(planned, now, []) == {
        "complete_until": "2019-01-02T12:00:00.000+00:00",
        "partial": ["2019-01-02T00:00:00.000+00:00", "2019-01-03T00:00:00.000+00:00"],
    }


def test_a_bucket_with_rows_that_a_stream_has_not_published_is_partial(planner: Planner) -> None:
    planned = planner(body({"start": "2019-01-01", "end": "2019-01-04"}))
    hour = (FIRST + DAY + 3_600_000, FIRST + DAY + 7_200_000)
    assert freshness(planned, FIRST + 10 * DAY, [hour, (0, 1)]) == {
        "complete_until": "2019-01-02T01:00:00.000+00:00",
        "partial": ["2019-01-02T00:00:00.000+00:00"],
    }


def test_the_current_unit_is_partial(planner: Planner) -> None:
    now = FIRST + DAY + DAY // 2
    for granularity in ("all", "month"):
        planned = planner(body({"current": "month"}, granularity), now=now)
        assert freshness(planned, now, [])["partial"] == ["2019-01-01T00:00:00.000+00:00"]
    planned = planner(body({"last": "P1D"}, "all"), now=now)
    assert freshness(planned, now, []) == {"complete_until": "2019-01-02T00:00:00.000+00:00", "partial": []}


def test_a_bucket_is_partial_if_the_one_that_it_is_compared_with_is(planner: Planner) -> None:
    now = FIRST + DAY + DAY // 2
    compared = {"compare": {"to": {"start": "2019-01-01", "end": "2019-01-04"}}}
    report = body({"start": "2018-01-01", "end": "2018-01-04"}) | compared
    planned = planner(report, now=now)
    assert freshness(planned, now, []) == {
        "complete_until": "2018-01-04T00:00:00.000+00:00",
        "partial": ["2018-01-02T00:00:00.000+00:00", "2018-01-03T00:00:00.000+00:00"],
    }
    assert [each.pointer for each in advice(planned, now) if each.code == "interval_not_over"] == ["/compare/to"]
    planned = planner(report | {"granularity": "all"}, now=now)
    assert freshness(planned, now, [])["partial"] == ["2018-01-01T00:00:00.000+00:00"]
    unpublished = [(FIRST + DAY, FIRST + DAY + 1)]
    assert freshness(planner(report), FIRST + 10 * DAY, unpublished)["partial"] == ["2018-01-02T00:00:00.000+00:00"]


def test_an_interval_that_is_compared_up_to_now_is_compared_with_final_numbers(planner: Planner) -> None:
    now = FIRST + DAY + DAY // 2
    planned = planner(body({"current": "month"}) | {"compare": {"to": "previous_period"}}, now=now)
    assert freshness(planned, now, [])["partial"] == ["2019-01-02T00:00:00.000+00:00"]
    assert [each for each in advice(planned, now) if each.code == "interval_not_over"] == []


def test_rounded_times_are_final_up_to_the_current_step(planner: Planner) -> None:
    now = FIRST + DAY + DAY // 2
    planned = planner(body({"start": "2019-01-01", "end": "2019-01-04"}), now=now)
    rounded = replace(planned, dataset=replace(planned.dataset, rows=Rows(granularity="day")))
    assert freshness(rounded, now, [])["complete_until"] == "2019-01-02T00:00:00.000+00:00"
