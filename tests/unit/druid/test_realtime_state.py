"""The rows that tasks had in earlier checks, compared with those of the latest one."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.druid.completeness.realtime_state import RealtimeRows, after_check
from gateway.druid.intervals import TimeRange
from gateway.druid.segments import Segment

DAY = TimeRange(0, 86_400_000)
SEGMENT = Segment(DAY, "1", 0)
LATER = Segment(DAY, "1", 1)


def checked(*counts: int, replicas: int = 1, every: float = 0.5) -> RealtimeRows:
    """What is known after checks that found these numbers of rows."""
    first, *others = counts
    known = RealtimeRows.first(first, 0)
    for number, count in enumerate(others, 1):
        known = known.after(count, number * every, replicas)
    return known


def test_a_segment_has_the_id_that_druid_gives_it() -> None:
    whole = "1970-01-01T00:00:00.000Z/1970-01-02T00:00:00.000Z"
    description = {"interval": whole, "version": "1", "partitionNumber": 1, "size": 0, "locations": []}
    assert Segment.from_candidate(description) == LATER
    assert SEGMENT.id("x") == "x_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_1"
    assert LATER.id("x") == "x_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_1_1"


@given(st.lists(st.integers(0, 9), min_size=1))
def test_rows_that_only_increase_are_never_missing(counts: list[int]) -> None:
    known = checked(*sorted(counts))
    assert not known.is_missing_rows
    assert known.back_at < 0


@given(st.lists(st.integers(0, 9), min_size=1))
def test_rows_are_missing_while_there_were_ever_more(counts: list[int]) -> None:
    assert checked(*counts, max(counts) + 1, max(counts)).is_missing_rows


def test_rows_are_back_after_the_second_complete_check() -> None:
    assert checked(7, 0, 3, 7).is_missing_rows
    back = checked(7, 0, 3, 7, 7)
    assert not back.is_missing_rows
    # The response to a query that began earlier may lack them.
    assert back.back_at == 2.0
    assert checked(7, 0, 3, 7, 7, 8).back_at == 2.0


def test_a_replica_may_lag_a_little_but_must_not_start_over() -> None:
    # It was behind by 20 seconds at most.
    assert not checked(*range(100), 85, replicas=2).is_missing_rows
    assert checked(*range(100), 10, replicas=2).is_missing_rows
    assert checked(*range(100), 85, replicas=1).is_missing_rows
    # The next checks may have reached the other replica.
    assert checked(*range(100), 10, *[100] * 19, replicas=2).is_missing_rows
    assert not checked(*range(100), 10, *[100] * 20, replicas=2).is_missing_rows


def test_a_new_segment_is_known_after_its_first_check() -> None:
    assert after_check({}, {SEGMENT: 1}, {SEGMENT: 7}, 1.0) == {SEGMENT: RealtimeRows.first(7, 1.0)}


def test_a_segment_that_is_no_longer_served_is_missing() -> None:
    known = after_check({SEGMENT: checked(7)}, {LATER: 1}, {LATER: 3}, 1.0)
    assert (known[SEGMENT].is_missing_rows, known[LATER].is_missing_rows) == (True, False)


def test_fewer_rows_than_before_are_missing_rows() -> None:
    assert after_check({SEGMENT: checked(7)}, {SEGMENT: 1}, {SEGMENT: 6}, 1.0)[SEGMENT].is_missing_rows


def test_a_segment_that_a_historical_has_is_not_monitored() -> None:
    assert after_check({SEGMENT: checked(7), LATER: checked(7, 0)}, {SEGMENT: 0, LATER: 0}, {}, 1.0) == {}


def test_a_replaced_segment_is_not_monitored() -> None:
    newer = Segment(TimeRange(0, 1), "2", 0)
    assert after_check({SEGMENT: checked(7)}, {newer: 0}, {}, 1.0) == {}
    elsewhere = Segment(TimeRange(86_400_000, 86_400_001), "2", 0)
    assert after_check({SEGMENT: checked(7)}, {elsewhere: 0}, {}, 1.0)[SEGMENT].is_missing_rows


def test_missing_rows_are_presumed_deleted_after_an_hour_without_a_change() -> None:
    def monitored(*, since: float, found: int) -> bool:
        return SEGMENT in after_check({SEGMENT: known}, {SEGMENT: 1}, {SEGMENT: found}, since)

    known = checked(7, 0)
    assert monitored(since=3600, found=0)
    assert not monitored(since=3700, found=0)
    # They are being read.
    assert monitored(since=3700, found=1)


def test_complete_rows_are_monitored_however_long_nothing_changes() -> None:
    known = {SEGMENT: checked(7)}
    for hour in range(1, 5):
        known = after_check(known, {SEGMENT: 1}, {SEGMENT: 7}, hour * 3000.0)
        assert not known[SEGMENT].is_missing_rows
