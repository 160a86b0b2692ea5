"""Time and segments, as Druid writes and describes them."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.druid.stretches import (
    Segment,
    Stretch,
    appended_segments,
    common,
    complement,
    data_stretches,
    merge,
    parse_stretch,
)
from tests.unit.druid.described import DAY_ONE, DAY_TWO, numbered, segment

stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: Stretch(pair[0], sum(pair))), max_size=12
)


def moments(found: tuple[Stretch, ...] | list[Stretch]) -> set[int]:
    return {moment for start, end in found for moment in range(start, end)}


@given(stretches)
def test_merging_keeps_the_time_and_leaves_gaps_between(given_stretches: list[Stretch]) -> None:
    merged = merge(given_stretches)
    assert moments(merged) == moments(given_stretches)
    assert all(before.end < after.start for before, after in pairwise(merged))


@given(stretches, stretches)
def test_what_is_in_both_is_found(known: list[Stretch], uncovered: list[Stretch]) -> None:
    found = common(merge(known), merge(uncovered))
    assert moments(found) == moments(known) & moments(uncovered)
    assert list(found) == sorted(found)


@given(stretches, st.tuples(st.integers(0, 50), st.integers(1, 40)))
def test_the_complement_is_all_other_time(served: list[Stretch], span: tuple[int, int]) -> None:
    within = Stretch(span[0], sum(span))
    assert moments(complement(served, within)) == moments((within,)) - moments(served)


def test_moments_are_read_and_written_as_druid_does() -> None:
    assert parse_stretch("1970-01-01T00:00:00.001Z/1970-01-02T00:00:00.000Z") == Stretch(1, 86_400_000)
    assert Stretch(1, 86_400_000).iso() == ("1970-01-01T00:00:00.001Z", "1970-01-02T00:00:00.000Z")


def test_segments_of_the_same_time_are_one_stretch() -> None:
    assert data_stretches([segment(), segment(), segment(DAY_TWO)]) == (Stretch(0, 172_800_000),)


def test_how_often_a_new_segment_is_to_be_loaded_may_not_be_known_yet() -> None:
    assert data_stretches([segment(replicas=None)]) == (Stretch(0, 86_400_000),)


@pytest.mark.parametrize(
    "given_segment",
    [segment(type="tombstone"), segment(overshadowed=True), segment(replicas=0)],
    ids=["says that there is nothing", "replaced by a newer one", "not to be loaded"],
)
def test_what_nobody_is_to_serve_is_no_data(given_segment: Any) -> None:
    assert data_stretches([given_segment]) == ()


def test_a_description_of_another_form_is_no_guess() -> None:
    with pytest.raises(KeyError):
        data_stretches([{"interval": DAY_ONE}])


def test_of_segments_that_came_one_by_one_each_can_be_missing_alone() -> None:
    found = appended_segments([numbered(0), numbered(1), numbered(0, interval=DAY_TWO)])
    day = parse_stretch(DAY_ONE)
    assert sorted(found) == [Segment(day, "1", 0), Segment(day, "1", 1)]


def test_core_partitions_are_served_together_and_what_was_appended_to_them_is_not() -> None:
    ranges = [segment(partitionNum=each, numCorePartitions=2) for each in range(2)]
    found = appended_segments([*ranges, numbered(2, core=2)])
    assert [each.partition for each in found] == [2]


def test_what_is_not_to_be_served_is_not_missed() -> None:
    others = [
        numbered(1, overshadowed=True),
        numbered(2, replicas=0),
        segment(type="tombstone", partitionNum=0, partitions=1),
    ]
    assert appended_segments([numbered(0), *others]) == ()
