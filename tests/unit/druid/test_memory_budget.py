"""The memory of responses in transit: bounded, and fair between organizations."""

import asyncio
from contextlib import suppress

import pytest

from gateway.druid.memory_budget import MemoryBudget
from gateway.druid.stored import Stored
from gateway.errors import MemoryExhausted
from tests.http.stalls import measured_stalls
from tests.unit.druid.links import INSTRUMENTS, budget, fill_with_small_entries


def test_a_released_lease_frees_its_memory() -> None:
    memory = budget(100)
    with memory.lease("a") as lease:
        lease.resize(60)
        lease.resize(20)
        assert memory.used == 20
    assert memory.used == 0
    lease.release()
    assert memory.used == 0
    lease.resize(60)
    assert memory.used == 0


def test_a_failure_frees_the_memory() -> None:
    memory = budget(100)
    with suppress(ZeroDivisionError), memory.lease("a") as lease:
        lease.resize(60)
        raise ZeroDivisionError
    assert memory.used == 0


def test_a_lease_that_is_dropped_frees_its_memory() -> None:
    memory = budget(100)
    lease = memory.lease("a")
    lease.resize(60)
    del lease
    assert memory.used == 0


def test_the_budget_is_never_exceeded() -> None:
    memory = budget(100)
    with memory.lease("a") as one, memory.lease("b") as other:
        one.resize(60)
        other.resize(40)
        with pytest.raises(MemoryExhausted):
            other.resize(41)
        one.resize(59)
        other.resize(41)
        assert memory.used == 100


def test_a_refused_response_gives_its_memory_back_at_once() -> None:
    """Otherwise responses that grow at the same time would all be refused before the first of them has ended."""
    memory = budget(100)
    with memory.lease("a") as one, memory.lease("b") as other:
        one.resize(50)
        other.resize(50)
        with pytest.raises(MemoryExhausted):
            one.resize(51)
        other.resize(60)
        assert memory.used == 60


def test_a_single_response_may_use_all_of_it() -> None:
    memory = budget(100)
    with memory.lease("a") as lease:
        lease.resize(100)
        assert memory.used == 100


def test_several_responses_of_one_organization_use_half_of_it() -> None:
    memory = budget(100)
    with memory.lease("a") as one, memory.lease("a") as other, memory.lease("b") as others:
        one.resize(30)
        other.resize(20)
        with pytest.raises(MemoryExhausted):
            other.resize(21)
        others.resize(50)


def test_a_lease_can_always_shrink() -> None:
    memory = budget(100)
    with memory.lease("a") as one, memory.lease("a") as other:
        one.resize(100)
        with pytest.raises(MemoryExhausted):
            other.resize(1)
        one.resize(99)
        assert memory.used == 99


def test_shared_memory_counts_once_and_is_free_with_the_last_lease() -> None:
    memory = budget(100)
    first = memory.lease("a")
    first.resize(60)
    second, third = first.share(), first.share()
    assert memory.used == 60
    first.release()
    second.release()
    assert (memory.used, third.size) == (60, 60)
    third.release()
    assert memory.used == 0


def test_resizing_a_shared_lease_leaves_the_others_as_they_are() -> None:
    memory = budget(100)
    first = memory.lease("a")
    first.resize(40)
    second = first.share()
    second.resize(5)
    assert (memory.used, first.size, second.size) == (45, 40, 5)
    first.release()
    assert memory.used == 5
    second.release()
    assert memory.used == 0


@pytest.mark.parametrize("end", ["resize", "release"])
def test_what_is_made_of_a_response_counts_beside_it_until_it_takes_its_place(end: str) -> None:
    memory = budget(100)
    first = memory.lease("a")
    first.resize(30)
    second = first.share()
    second.cover_beside(20)
    assert memory.used == 50
    # One response alone may use more than half, but not more than all.
    with pytest.raises(MemoryExhausted):
        second.cover_beside(71)
    second.cover_beside(25)
    assert memory.used == 55
    if end == "resize":
        second.resize(10)
        assert memory.used == 40
    second.release()
    second.cover_beside(5)
    first.release()
    assert memory.used == 0


async def test_dropping_many_stored_entries_lets_others_run() -> None:
    stored: Stored[int, bytes] = Stored(1 << 26)
    memory = MemoryBudget(1 << 26, INSTRUMENTS.answers_bytes, stored)
    fill_with_small_entries(stored, memory)
    with memory.lease("b") as lease:
        async with measured_stalls() as stalls:
            await lease.grow(60 << 20)
        assert lease.size == 60 << 20
        assert memory.used <= 1 << 26
        assert stored.size < 4 << 20
    assert stalls.longest < 0.02


async def test_memory_that_is_taken_while_stored_entries_are_dropped_is_not_given_twice() -> None:
    stored: Stored[int, bytes] = Stored(1 << 24)
    memory = MemoryBudget(1 << 24, INSTRUMENTS.answers_bytes, stored)
    fill_with_small_entries(stored, memory)
    with memory.lease("b") as one, memory.lease("c") as other:
        outcomes = await asyncio.gather(one.grow(9 << 20), other.grow(9 << 20), return_exceptions=True)
        assert [type(each) for each in outcomes].count(MemoryExhausted) == 1
        assert sorted((one.size, other.size)) == [0, 9 << 20]
    assert memory.used == stored.size == 0


async def test_a_large_entry_takes_the_place_of_many_without_a_stall() -> None:
    stored: Stored[int, bytes] = Stored(1 << 27)
    memory = MemoryBudget(1 << 28, INSTRUMENTS.answers_bytes, stored)
    fill_with_small_entries(stored, memory)
    async with measured_stalls() as stalls:
        await stored.make_room(-1, 16_000_000, "a", memory)
        stored.put(-1, b"large", 16_000_000, "a", memory)
    assert stored.get(-1) == b"large"
    assert 100 << 20 < stored.size <= 1 << 27
    assert stalls.longest < 0.02
