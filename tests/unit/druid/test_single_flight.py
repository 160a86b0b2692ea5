"""One run for all who ask the same at the same time."""

import asyncio

import pytest

from gateway.druid.single_flight import Flights


class Runs:
    """Counts how often it was started, and yields when told to."""

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.end = asyncio.Event()

    async def run(self) -> int:
        self.started += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.started


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_who_ask_the_same_share_one_run() -> None:
    flights, runs = Flights[int](), Runs()
    callers = [asyncio.create_task(flights.join(b"k", soon(), runs.run)) for _ in range(5)]
    await settle()
    runs.end.set()
    assert await asyncio.gather(*callers) == [1] * 5


async def test_those_who_ask_something_else_do_not() -> None:
    flights, runs = Flights[int](), Runs()
    runs.end.set()
    assert await flights.join(b"a", soon(), runs.run) == 1
    assert await flights.join(b"b", soon(), runs.run) == 2


async def test_what_has_ended_is_not_handed_out_again() -> None:
    flights, runs = Flights[int](), Runs()
    runs.end.set()
    assert [await flights.join(b"k", soon(), runs.run) for _ in range(2)] == [1, 2]


async def test_a_run_is_cancelled_when_the_last_who_waits_leaves_and_not_before() -> None:
    flights, runs = Flights[int](), Runs()
    first, second = (asyncio.create_task(flights.join(b"k", soon(), runs.run)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    assert runs.cancelled == 0
    second.cancel()
    await settle()
    assert (runs.started, runs.cancelled) == (1, 1)


async def test_nobody_joins_a_run_that_is_being_cancelled() -> None:
    flights, runs = Flights[int](), Runs()
    first = asyncio.create_task(flights.join(b"k", soon(), runs.run))
    await settle()
    first.cancel()
    await asyncio.sleep(0)
    runs.end.set()
    assert await flights.join(b"k", soon(), runs.run) == 2


async def test_a_failure_is_everyones() -> None:
    flights = Flights[int]()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise LookupError

    callers = [asyncio.create_task(flights.join(b"k", soon(), fail)) for _ in range(3)]
    for caller in callers:
        with pytest.raises(LookupError):
            await caller


async def test_a_run_that_must_end_much_sooner_is_not_joined() -> None:
    flights, runs = Flights[int](), Runs()
    hasty = asyncio.create_task(flights.join(b"k", soon(1), runs.run))
    await settle()
    patient = asyncio.create_task(flights.join(b"k", soon(60), runs.run))
    await settle()
    assert runs.started == 2
    runs.end.set()
    await asyncio.gather(hasty, patient)
