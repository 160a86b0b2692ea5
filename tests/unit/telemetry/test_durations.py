"""How long things took, as Prometheus counts it."""

import asyncio
import time
from itertools import pairwise
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import DeadlineExceeded
from gateway.telemetry.durations import BOUNDS, Durations, outcome_of


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1))
def test_each_bucket_holds_all_that_took_no_longer_than_its_bound(seconds: list[float]) -> None:
    durations = Durations()
    for each in seconds:
        durations.note("answered", each)
    [(name, histogram)] = durations
    assert name == "answered"
    assert histogram.total == pytest.approx(sum(seconds))
    assert [bound for bound, _ in histogram.buckets] == [*map(str, BOUNDS), "+Inf"]
    for bound, count in histogram.buckets:
        assert count == sum(each <= float(bound) for each in seconds)
    assert all(one[1] <= other[1] for one, other in pairwise(histogram.buckets))


def test_an_error_counts_by_its_code() -> None:
    durations = Durations()
    with durations.timing():
        pass
    for error in (DeadlineExceeded(""), asyncio.CancelledError(), OSError()):
        with pytest.raises(type(error)), durations.timing():
            raise error
    assert [name for name, _ in durations] == ["answered", "timeout", "abandoned", "failed"]
    assert outcome_of(ValueError()) == "failed"


def test_a_time_that_was_stopped_does_not_grow_and_a_told_outcome_stands() -> None:
    durations = Durations()
    with durations.timing() as timing:
        timing.outcome = "no_answer"
        timing.stop()
        stopped = perf_counter()
        time.sleep(0.02)
    [(name, histogram)] = durations
    assert name == "no_answer"
    assert histogram.total < perf_counter() - stopped
