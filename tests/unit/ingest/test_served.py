"""A task's segments count as served when queries read them, and nothing older."""

import pytest

from gateway.druid.intervals import TimeRange
from gateway.druid.segments import Segment
from gateway.ingest.batch.served import served

MAY = TimeRange.parse("2019-05-01T00:00:00.000Z/2019-06-01T00:00:00.000Z")
OLD, OURS, NEWER = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", "2026-01-03T00:00:00.000Z"


def segment(version: str, partition: int = 0, *, is_tombstone: bool = False) -> Segment:
    return Segment(MAY, version, partition, 100, is_tombstone)


@pytest.mark.parametrize(
    ("published", "queried", "count"),
    [
        ([segment(OURS)], [segment(OURS)], 1),
        ([segment(OURS)], [], 0),
        ([segment(OURS)], [segment(OLD)], 0),
        # Queries still read the old segment.
        ([segment(OURS)], [segment(OLD), segment(OURS)], 0),
        ([segment(OURS), segment(OURS, 1)], [segment(OURS)], 1),
        # A newer ingestion has replaced this one's.
        ([segment(OURS), segment(OURS, 1)], [segment(NEWER)], 2),
        ([segment(OURS, is_tombstone=True)], [], 1),
        ([segment(OURS, is_tombstone=True)], [segment(OLD)], 0),
        ([], [segment(OLD)], 0),
    ],
)
def test_a_segment_counts_if_queries_read_it_and_nothing_older(
    published: list[Segment], queried: list[Segment], count: int
) -> None:
    assert served(published, queried) == count
