"""Counting and measuring with Prometheus' instruments."""

import asyncio

import pytest
from prometheus_client import generate_latest

from gateway.errors import DruidBusy
from gateway.telemetry.instruments import NO_DATA_SET, Instruments, outcome_of, timed


def test_no_series_tells_when_another_was_created() -> None:
    instruments = Instruments()
    instruments.of_requests("sessions").seconds.observe(0.1)
    instruments.requests.labels("sessions", "200", "").inc()
    assert b"_created" not in generate_latest(instruments.registry)


def test_the_instruments_of_a_data_set_are_bound_once() -> None:
    instruments = Instruments()
    assert instruments.of_requests("sessions") is instruments.of_requests("sessions")
    assert instruments.of_requests("sessions") is not instruments.of_requests(NO_DATA_SET)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(DruidBusy("busy"), "too_many_requests"), (asyncio.CancelledError(), "abandoned"), (ValueError(), "failed")],
)
def test_a_measurement_is_labelled_with_what_its_error_means(error: BaseException, outcome: str) -> None:
    instruments = Instruments()
    with pytest.raises(type(error)), timed(instruments.account_database_seconds, "token", success="found"):
        raise error
    assert outcome_of(error) == outcome
    labels = {"kind": "token", "outcome": outcome}
    assert instruments.registry.get_sample_value("gateway_account_database_seconds_count", labels) == 1


def test_a_measurement_can_be_stopped_and_labelled_before_its_end() -> None:
    instruments = Instruments()
    with timed(instruments.account_database_seconds, "token", success="found") as timer:
        timer.stop()
        timer.outcome = "absent"
        first = timer.seconds
        assert timer.seconds == first
    labels = {"kind": "token", "outcome": "absent"}
    assert instruments.registry.get_sample_value("gateway_account_database_seconds_sum", labels) == first
