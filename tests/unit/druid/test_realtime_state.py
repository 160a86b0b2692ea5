"""What tasks were seen to hold, against what they are seen to hold now."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.druid.completeness.realtime_state import Held, look
from gateway.druid.stretches import Segment, Stretch

DAY = Stretch(0, 86_400_000)
SEGMENT = Segment(DAY, "1", 0)
LATER = Segment(DAY, "1", 1)


def seen(*counts: int, replicas: int = 1, every: float = 0.5) -> Held:
    """After looks that found so many rows, one after the other."""
    first, *others = counts
    held = Held.first(first, 0)
    for number, count in enumerate(others, 1):
        held = held.after(count, number * every, replicas)
    return held


def test_a_segment_has_the_name_that_druid_gives_it() -> None:
    whole = "1970-01-01T00:00:00.000Z/1970-01-02T00:00:00.000Z"
    description = {"interval": whole, "version": "1", "partitionNumber": 1, "size": 0, "locations": []}
    assert Segment.described(description) == LATER
    assert SEGMENT.id("x") == "x_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_1"
    assert LATER.id("x") == "x_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_1_1"


@given(st.lists(st.integers(0, 9), min_size=1))
def test_rows_that_only_become_more_are_never_missed(counts: list[int]) -> None:
    held = seen(*sorted(counts))
    assert not held.lacks
    assert held.back_at < 0


@given(st.lists(st.integers(0, 9), min_size=1))
def test_rows_are_missed_as_long_as_there_were_ever_more(counts: list[int]) -> None:
    assert seen(*counts, max(counts) + 1, max(counts)).lacks


def test_rows_are_back_with_the_second_look_that_finds_them_all_and_not_before_it() -> None:
    assert seen(7, 0, 3, 7).lacks
    back = seen(7, 0, 3, 7, 7)
    assert not back.lacks
    # Whoever asked before that may have been answered without them.
    assert back.back_at == 2.0
    assert seen(7, 0, 3, 7, 7, 8).back_at == 2.0


def test_a_replica_may_be_a_little_behind_but_does_not_begin_again() -> None:
    # It was behind by 20 seconds at most.
    assert not seen(*range(100), 85, replicas=2).lacks
    assert seen(*range(100), 10, replicas=2).lacks
    assert seen(*range(100), 85, replicas=1).lacks
    # The next looks may have met the other one.
    assert seen(*range(100), 10, *[100] * 19, replicas=2).lacks
    assert not seen(*range(100), 10, *[100] * 20, replicas=2).lacks


def test_what_is_found_for_the_first_time_is_held() -> None:
    assert look({}, {SEGMENT: 1}, {SEGMENT: 7}, 1.0) == {SEGMENT: Held.first(7, 1.0)}


def test_what_is_not_served_any_more_is_missed() -> None:
    held = look({SEGMENT: seen(7)}, {LATER: 1}, {LATER: 3}, 1.0)
    assert (held[SEGMENT].lacks, held[LATER].lacks) == (True, False)


def test_what_is_served_with_fewer_rows_is_missed() -> None:
    assert look({SEGMENT: seen(7)}, {SEGMENT: 1}, {SEGMENT: 6}, 1.0)[SEGMENT].lacks


def test_what_a_historical_has_is_held_no_more() -> None:
    assert look({SEGMENT: seen(7), LATER: seen(7, 0)}, {SEGMENT: 0, LATER: 0}, {}, 1.0) == {}


def test_what_a_newer_version_replaces_is_held_no_more() -> None:
    newer = Segment(Stretch(0, 1), "2", 0)
    assert look({SEGMENT: seen(7)}, {newer: 0}, {}, 1.0) == {}
    elsewhere = Segment(Stretch(86_400_000, 86_400_001), "2", 0)
    assert look({SEGMENT: seen(7)}, {elsewhere: 0}, {}, 1.0)[SEGMENT].lacks


def test_rows_that_do_not_come_back_are_given_up_after_an_hour_without_a_change() -> None:
    def missed(*, since: float, found: int) -> bool:
        return SEGMENT in look({SEGMENT: held}, {SEGMENT: 1}, {SEGMENT: found}, since)

    held = seen(7, 0)
    assert missed(since=3600, found=0)
    assert not missed(since=3700, found=0)
    # They are being read.
    assert missed(since=3700, found=1)


def test_rows_that_are_there_are_held_however_long_nothing_changes() -> None:
    held = {SEGMENT: seen(7)}
    for hour in range(1, 5):
        held = look(held, {SEGMENT: 1}, {SEGMENT: 7}, hour * 3000.0)
        assert not held[SEGMENT].lacks
