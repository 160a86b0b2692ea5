"""Which query gets a slot, and when."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.druid.slots import Slots
from gateway.errors import DeadlineExceeded, QueueFull
from tests.unit.druid.links import new_slots, soon


class Queries:
    """Queries that run until they are told to end, in the order in which they got their slots."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.running: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, name: str, organization: str) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, organization))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        for _ in range(3):
            await asyncio.sleep(0)

    async def _stay(self, name: str, organization: str) -> None:
        async with self.slots.acquire(organization, soon()):
            self.running.append(name)
            await self.ends[name].wait()


async def test_an_organization_alone_gets_at_most_half_of_the_slots() -> None:
    queries = Queries(new_slots(4, 10))
    for name in ("a1", "a2", "a3"):
        await queries.start(name, "a")
    assert queries.running == ["a1", "a2"]
    await queries.end("a1")
    assert queries.running == ["a1", "a2", "a3"]
    for name in ("a2", "a3"):
        await queries.end(name)
    assert queries.slots.running == queries.slots.queued == 0


async def test_while_others_are_active_an_organization_gets_at_most_a_quarter() -> None:
    queries = Queries(new_slots(4, 10))
    for name in ("a1", "a2", "a3", "b1", "b2"):
        await queries.start(name, name[0])
    assert queries.running == ["a1", "a2", "b1"]
    await queries.end("a1")
    assert queries.running == ["a1", "a2", "b1"]
    await queries.end("a2")
    assert queries.running[-1] == "a3"
    await queries.end("b1")
    assert queries.running[-1] == "b2"
    for name in ("a3", "b2"):
        await queries.end(name)
    assert queries.slots.running == queries.slots.queued == 0


async def test_an_organization_stays_active_for_a_while_after_its_last_query(monkeypatch: pytest.MonkeyPatch) -> None:
    queries = Queries(new_slots(4, 10))
    await queries.start("b1", "b")
    await queries.end("b1")
    for name in ("a1", "a2"):
        await queries.start(name, "a")
    assert queries.running == ["b1", "a1"]
    monkeypatch.setattr("gateway.druid.slots._ACTIVE_SECONDS", 0.0)
    await queries.start("a3", "a")
    await queries.end("a1")
    assert queries.running == ["b1", "a1", "a2", "a3"]
    for name in ("a2", "a3"):
        await queries.end(name)


async def test_an_organization_with_a_running_query_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.druid.slots._ACTIVE_SECONDS", 0.0)
    queries = Queries(new_slots(4, 10))
    for name in ("b1", "a1", "a2"):
        await queries.start(name, name[0])
    assert queries.running == ["b1", "a1"]
    await queries.end("b1")
    for name in ("a1", "a2"):
        await queries.end(name)


async def test_a_slot_goes_to_the_organization_with_the_fewest_running_queries() -> None:
    queries = Queries(new_slots(2, 20))
    await queries.start("a1", "a")
    await queries.start("b1", "b")
    for name in ("a2", "a3", "a4", "c1"):
        await queries.start(name, name[0])
    await queries.end("b1")
    assert queries.running[-1] == "c1"
    await queries.end("a1")
    assert queries.running[-1] == "a2"
    for name in ("c1", "a2", "a3", "a4"):
        await queries.end(name)


async def test_a_full_queue_rejects_and_says_when_to_retry() -> None:
    queries = Queries(new_slots(2, 4))
    for name in ("a1", "a2", "a3"):
        await queries.start(name, "a")
    with pytest.raises(QueueFull) as refused:
        async with queries.slots.acquire("a", soon()):
            pytest.fail("there was no slot")
    assert refused.value.headers["Retry-After"] == "1"
    for name in ("a1", "a2", "a3"):
        await queries.end(name)


async def test_waiting_ends_at_the_deadline_and_leaves_nothing_behind() -> None:
    queries = Queries(new_slots(2, 4))
    await queries.start("a1", "a")
    with pytest.raises(DeadlineExceeded):
        async with queries.slots.acquire("a", soon(0.02)):
            pytest.fail("there was no slot")
    assert queries.slots.queued == 0
    await queries.end("a1")


async def test_a_cancelled_request_leaves_the_queue() -> None:
    queries = Queries(new_slots(2, 4))
    await queries.start("a1", "a")
    await queries.start("a2", "a")
    queries.tasks["a2"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await queries.tasks["a2"]
    assert queries.slots.queued == 0
    await queries.end("a1")


async def test_an_abandoned_query_keeps_its_slot_until_its_cancellation_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slots, ended = new_slots(2, 4), asyncio.Event()

    async def leave() -> None:
        async with slots.acquire("a", soon()) as slot:
            slot.release_after(_until(ended))

    await leave()
    assert slots.running == 1
    ended.set()
    async with asyncio.timeout(5), slots.acquire("a", soon()):
        assert slots.running == 1
    ended.clear()
    # After a bound, the slot is released although the cancellation has not ended.
    monkeypatch.setattr("gateway.druid.slots._CANCEL_SECONDS", 0.01)
    await leave()
    async with asyncio.timeout(5), slots.acquire("a", soon()):
        assert slots.running == 1
    ended.set()


async def test_leaving_ends_cancellations_that_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.druid.slots._CANCEL_SECONDS", 0.05)
    slots, quick, never = new_slots(2, 4), asyncio.Event(), asyncio.Event()
    outcomes = []

    async def cancellation(ended: asyncio.Event) -> None:
        try:
            await ended.wait()
            outcomes.append("complete")
        except asyncio.CancelledError:
            outcomes.append("not complete")
            raise

    async with asyncio.timeout(5), slots:
        async with slots.acquire("a", soon()) as slot:
            slot.release_after(cancellation(quick))
            slot.release_after(cancellation(never))
        asyncio.get_running_loop().call_later(0.01, quick.set)
    assert outcomes == ["complete", "not complete"]
    assert (slots.running, slots.cancelling) == (0, 0)


async def _until(ended: asyncio.Event) -> None:
    await ended.wait()


@contextmanager
def at_most(slots: Slots, most: int) -> Iterator[None]:
    assert 1 <= slots.running <= most
    yield


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), min_size=1, max_size=30),
    st.integers(2, 5),
)
def test_no_slot_is_ever_lost_or_invented(visits: list[tuple[str, int, bool]], count: int) -> None:
    async def visit(slots: Slots, organization: str, turns: int) -> None:
        async with slots.acquire(organization, soon()):
            with at_most(slots, count):
                for _ in range(turns):
                    await asyncio.sleep(0)

    async def everything() -> None:
        slots = new_slots(count, 1000)
        tasks = []
        for organization, turns, leaves in visits:
            task = asyncio.create_task(visit(slots, organization, turns))
            tasks.append(task)
            await asyncio.sleep(0)
            if leaves:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert slots.running == slots.queued == 0

    asyncio.run(everything())
