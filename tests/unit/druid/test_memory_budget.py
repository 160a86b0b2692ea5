"""Room for answers: bounded, and no organization takes most of it."""

from contextlib import suppress

import pytest

from gateway.druid.memory_budget import Memory
from gateway.errors import MemoryExhausted


def test_what_is_taken_is_given_back() -> None:
    memory = Memory(100)
    with memory.room("a") as room:
        room.resize(60)
        room.resize(20)
        assert memory.held == 20
    assert memory.held == 0


def test_it_is_given_back_after_a_failure() -> None:
    memory = Memory(100)
    with suppress(ZeroDivisionError), memory.room("a") as room:
        room.resize(60)
        raise ZeroDivisionError
    assert memory.held == 0


def test_no_more_is_taken_than_there_is() -> None:
    memory = Memory(100)
    with memory.room("a") as one, memory.room("b") as other:
        one.resize(60)
        other.resize(40)
        with pytest.raises(MemoryExhausted):
            other.resize(41)
        assert memory.held == 100
        one.resize(59)
        other.resize(41)


def test_one_answer_may_take_all() -> None:
    memory = Memory(100)
    with memory.room("a") as room:
        room.resize(100)
        assert memory.held == 100


def test_several_of_one_organization_take_half() -> None:
    memory = Memory(100)
    with memory.room("a") as one, memory.room("a") as other, memory.room("b") as others:
        one.resize(30)
        other.resize(20)
        with pytest.raises(MemoryExhausted):
            other.resize(21)
        others.resize(50)


def test_a_smaller_room_is_always_to_be_had() -> None:
    memory = Memory(100)
    with memory.room("a") as one, memory.room("a") as other:
        one.resize(100)
        with pytest.raises(MemoryExhausted):
            other.resize(1)
        one.resize(99)
        assert memory.held == 99
