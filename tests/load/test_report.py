"""The figures of the load test, for samples with percentiles counted by hand."""

import json

import pytest
from pydantic import TypeAdapter

from tests.load.mix import TITLES
from tests.load.report import ALL_REPORTS, Figures, Usage, figures, markdown
from tests.load.scenario import Sample, Way

USAGE = Usage(cores=2, seconds=100, gateway=10, druid=None, locust=5, load_average=1.5)
REPORTS = ("documented_example", "month_by_day", "visitors_by_type", "users_of_a_month", "large_group_by")


def answers(kind: str, way: Way, times: range, failure: str | None = None) -> list[Sample]:
    return [Sample(kind, way, 1000.0 + ms / 100, float(ms), failure) for ms in times]


def run_of(*more: Sample) -> Figures:
    """Return the figures of a run with responses of every kind, in which the gateway takes twice as long as Druid."""
    samples = [*more]
    for kind in TITLES:
        samples += answers(kind, Way.GATEWAY, range(2, 202, 2))
    for kind in REPORTS:
        samples += answers(kind, Way.DRUID, range(1, 101))
    return figures(samples, {"users": "4"}, USAGE)


def test_percentiles_are_of_actual_responses() -> None:
    found = run_of()
    row = next(each for each in found.rows if each.kind == "month_by_day")
    assert row.gateway is not None
    assert row.druid is not None
    assert (row.gateway.p50, row.gateway.p95, row.gateway.p99) == (100, 190, 198)
    assert (row.druid.p50, row.druid.p95, row.druid.p99) == (50, 95, 99)
    assert list(row.ratios or ()) == [2, 2, 2]
    # From the first request (1000.01) to the end of the last response (1002 and 200 ms).
    assert found.seconds == pytest.approx(2.19)
    assert row.gateway.per_second == pytest.approx(100 / 2.19)


def test_refusals_have_no_ratio_and_are_not_among_the_reports() -> None:
    found = run_of()
    assert next(each for each in found.rows if each.kind == "wrong_token").ratios is None
    every = found.rows[-1]
    assert every.kind == ALL_REPORTS
    assert every.gateway is not None
    assert every.gateway.count == 100 * len(REPORTS)


def test_a_run_without_unexpected_responses_passes() -> None:
    found = run_of()
    assert not found.failures
    assert "PASSED: users 4" in markdown(found)


def test_unexpected_responses_are_listed_and_not_part_of_the_figures() -> None:
    found = run_of(*answers("bad_body", Way.GATEWAY, range(500, 503), "answered 500, not 400"))
    assert found.failures == {"bad_body (gateway): answered 500, not 400": 3}
    assert "FAILED" in markdown(found)
    assert "3 times: bad_body (gateway): answered 500, not 400" in markdown(found)
    row = next(each for each in found.rows if each.kind == "bad_body")
    assert row.gateway is not None
    assert row.gateway.count == 100


def test_a_kind_without_responses_fails_the_run() -> None:
    found = figures(answers("month_by_day", Way.GATEWAY, range(1, 3)), {}, USAGE)
    assert "wrong_token: never answered; let it run longer" in found.failures
    assert not any("month_by_day" in failure for failure in found.failures)


def test_a_run_without_responses_fails() -> None:
    assert len(figures([], {}, USAGE).failures) == len(TITLES)


def test_processor_time_is_reported_for_processes_of_the_run() -> None:
    text = markdown(run_of())
    assert "Processor time of 2 cores: the gateway 5%, Locust 2%." in text
    assert "The gateway used 14.29 ms of it a request." in text


def test_the_json_report_has_the_same_figures() -> None:
    written = json.loads(TypeAdapter(Figures).dump_json(run_of()))
    assert {row["kind"] for row in written["rows"]} == {*TITLES, ALL_REPORTS}
