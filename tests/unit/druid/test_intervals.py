"""Ranges of time as Druid writes them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.druid.intervals import TimeRange, complement, intersect, merge, span

ranges = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: TimeRange(pair[0], sum(pair))), max_size=12
)
# Druid's moments: half of a long, in both directions.
moments = st.integers(-(2**62), 2**62)


def milliseconds(found: tuple[TimeRange, ...] | list[TimeRange]) -> set[int]:
    return {moment for start, end in found for moment in range(start, end)}


@given(ranges)
def test_merging_keeps_the_time_and_leaves_gaps_between_ranges(given_ranges: list[TimeRange]) -> None:
    merged = merge(given_ranges)
    assert milliseconds(merged) == milliseconds(given_ranges)
    assert all(before.end < after.start for before, after in pairwise(merged))


@given(ranges, ranges)
def test_the_intersection_is_the_common_time(known: list[TimeRange], uncovered: list[TimeRange]) -> None:
    found = intersect(merge(known), merge(uncovered))
    assert milliseconds(found) == milliseconds(known) & milliseconds(uncovered)
    assert list(found) == sorted(found)


@given(ranges, st.tuples(st.integers(0, 50), st.integers(1, 40)))
def test_the_complement_is_all_other_time(served: list[TimeRange], pair: tuple[int, int]) -> None:
    within = TimeRange(pair[0], sum(pair))
    assert milliseconds(complement(served, within)) == milliseconds((within,)) - milliseconds(served)


def test_the_span_contains_every_range() -> None:
    assert span([TimeRange(5, 7), TimeRange(1, 2)]) == TimeRange(1, 7)


@given(moments, moments)
def test_an_interval_of_any_year_is_read_as_it_was_written(start: int, end: int) -> None:
    assert TimeRange.parse(str(TimeRange(start, end))) == TimeRange(start, end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00.001Z/1970-01-02T00:00:00.000Z", TimeRange(1, 86_400_000)),
        ("1970-01-01/1970-01-01T00:00Z", TimeRange(0, 0)),
        ("1970-01-01T01:00:00+01:00/1970-01-02", TimeRange(0, 86_400_000)),
        # The last month that Python's datetime knows ends in a year that it does not know.
        ("9999-12-01T00:00:00.000Z/10000-01-01T00:00:00.000Z", TimeRange(253_399_622_400_000, 253_402_300_800_000)),
        ("12019-01-01T00:00:00.000Z/12019-02-01T00:00:00.000Z", TimeRange(317_115_820_800_000, 317_118_499_200_000)),
        # Segment granularity ALL: Joda-Time's limits.
        (
            "-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z",
            TimeRange(-(2**62), 2**62 - 1),
        ),
    ],
)  # fmt: skip
def test_intervals_are_read_and_written_as_druid_does(text: str, expected: TimeRange) -> None:
    assert TimeRange.parse(text) == expected
    assert TimeRange.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "/", "2019-01-01", "2019-01-01/P1D", "2019-13-01/2019-01-01", "a/b/c"])
def test_other_texts_are_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        TimeRange.parse(text)
