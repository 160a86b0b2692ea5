"""Which data a data source has, read from the coordinator's list of its segments."""

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import orjson
import pytest

from gateway.druid.api.coordinator import InvalidMetadata
from gateway.druid.completeness.existing_data import ExistingData, read_existing_data
from gateway.druid.intervals import TimeRange
from gateway.druid.row_parser import parse_stream
from gateway.druid.segments import Segment, current
from tests.unit.druid.described import DAY_ONE, DAY_TWO, numbered, segment

HOUR, DAY = 3_600_000, 86_400_000


async def sliced(descriptions: Iterable[Any]) -> AsyncIterator[list[Any]]:
    yield list(descriptions)


async def existing(*descriptions: Any) -> ExistingData:
    return await read_existing_data("x", sliced(descriptions))


async def test_segments_of_the_same_time_and_of_the_next_are_one_range() -> None:
    assert (await existing(segment(), segment(), segment(DAY_TWO))).covered == (TimeRange(0, 2 * DAY),)


async def test_the_number_of_replicas_of_a_new_segment_may_be_unknown() -> None:
    assert (await existing(segment(replicas=None))).covered == (TimeRange(0, DAY),)


@pytest.mark.parametrize(
    "description",
    [segment(type="tombstone"), segment(overshadowed=True), segment(replicas=0)],
    ids=["a tombstone", "replaced by a newer one", "not to be loaded"],
)
async def test_a_segment_that_no_server_is_supposed_to_serve_is_no_data(description: Any) -> None:
    assert (await existing(description)).covered == ()


async def test_a_list_in_another_form_is_an_error_and_not_an_empty_data_source() -> None:
    with pytest.raises(InvalidMetadata):
        await existing({"interval": DAY_ONE}, {"interval": DAY_TWO})


async def test_an_empty_data_source_has_no_data() -> None:
    assert await existing() == ExistingData((), {})


async def test_segments_that_were_added_one_by_one_are_appended() -> None:
    found = await existing(numbered(0), numbered(1), numbered(0, interval=DAY_TWO))
    day = TimeRange.parse(DAY_ONE)
    assert sorted(found.appended_in(day)) == [Segment(day, "1", 0), Segment(day, "1", 1)]
    assert found.appended_in(TimeRange.parse(DAY_TWO)) == [], "one that is alone in its time is not appended"


async def test_core_partitions_are_not_appended_but_those_added_to_them_are() -> None:
    ranges = [segment(partitionNum=each, numCorePartitions=2) for each in range(2)]
    found = await existing(*ranges, numbered(2, core=2))
    assert [each.partition for each in found.appended_in(TimeRange(0, 1))] == [2]


async def test_appended_segments_that_are_not_to_be_served_are_left_out() -> None:
    found = await existing(
        numbered(0), numbered(1, overshadowed=True), numbered(2, replicas=0), segment(type="tombstone")
    )
    assert found.appended == {}


def test_metadata_and_candidates_describe_the_same_segment() -> None:
    stored = Segment.from_metadata(numbered(1) | {"size": 5})
    candidate = Segment.from_candidate({"interval": DAY_ONE, "version": "1", "partitionNumber": 1, "locations": []})
    assert stored == candidate


async def test_replaced_segments_and_tombstones_are_not_current() -> None:
    old, new = (Segment(TimeRange(0, 10), version, 0) for version in "12")
    deleted = Segment(TimeRange(20, 30), "2", 0, is_tombstone=True)
    beside = Segment(TimeRange(40, 50), "1", 0)
    assert await current([old, new, beside, Segment(TimeRange(22, 25), "1", 0), deleted]) == {new, beside}


@pytest.mark.parametrize("seed", range(50))
async def test_a_segment_is_current_unless_a_newer_one_contains_its_time(seed: int) -> None:
    draw = random.Random(seed)
    found = []
    for _ in range(draw.randrange(12)):
        start = draw.randrange(6)
        time_range = TimeRange(start, start + draw.randrange(1, 6))
        found.append(Segment(time_range, draw.choice("123"), draw.randrange(2), is_tombstone=draw.random() < 0.2))
    known = list(dict.fromkeys(found))
    assert await current(known) == {
        each
        for each in known
        if not each.is_tombstone
        and not any(other.version > each.version and other.time_range.contains(each.time_range) for other in known)
    }


@pytest.mark.slow
async def test_thousands_of_stored_segments_never_stall_the_event_loop() -> None:
    known = [Segment(TimeRange(hour * HOUR, (hour + 1) * HOUR), "1", 0) for hour in range(20_000)]
    longest, began = 0.0, time.thread_time()
    task = asyncio.create_task(current(known))
    while not task.done():
        before = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - before)
    assert len(task.result()) == len(known)
    assert longest < 0.1
    assert time.thread_time() - began < 5


@pytest.mark.slow
async def test_100_000_segments_never_stall_the_event_loop() -> None:
    """A kilobyte each, as the coordinator describes them: four partitions an hour, for three years."""
    descriptions = [
        segment(str(TimeRange(hour * HOUR, (hour + 1) * HOUR)), partitionNum=partition, numCorePartitions=4)
        | {"loadSpec": {"path": "x" * 700}}
        for hour in range(25_000)
        for partition in range(4)
    ]
    body = orjson.dumps(descriptions)
    del descriptions
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            # Processor time of this thread: other processes of a busy machine do not count.
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]
            await asyncio.sleep(0)

    # The garbage collector visits what the process has: here that is mostly what tests import.
    gc.collect()
    gc.freeze()
    watching = asyncio.create_task(watch())
    try:
        found = await read_existing_data("x", parse_stream(chunks()))
    finally:
        watching.cancel()
        gc.unfreeze()
    assert found == ExistingData((TimeRange(0, 25_000 * HOUR),), {})
    assert longest < 0.02
