"""Who gets a place in Druid, and when."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.druid.admission import Admission
from gateway.errors import DeadlineExceeded, QueueFull


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


class Guests:
    """Queries that run until they are told to end, in the order in which they got their places."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.inside: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, organization: str) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, organization))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def go(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        for _ in range(3):
            await asyncio.sleep(0)

    async def _stay(self, name: str, organization: str) -> None:
        async with self.admission.place(organization, soon()):
            self.inside.append(name)
            await self.ends[name].wait()


async def test_an_organization_by_itself_has_half_of_the_places_at_most() -> None:
    guests = Guests(Admission(places=4, queue=10))
    for name in ("a1", "a2", "a3"):
        await guests.come(name, "a")
    assert guests.inside == ["a1", "a2"]
    await guests.go("a1")
    assert guests.inside == ["a1", "a2", "a3"]
    for name in ("a2", "a3"):
        await guests.go(name)
    assert guests.admission.running == guests.admission.queued == 0


async def test_beside_others_an_organization_has_a_quarter_of_the_places_at_most() -> None:
    guests = Guests(Admission(places=4, queue=10))
    for name in ("a1", "a2", "a3", "b1", "b2"):
        await guests.come(name, name[0])
    assert guests.inside == ["a1", "a2", "b1"]
    await guests.go("a1")
    assert guests.inside == ["a1", "a2", "b1"]
    await guests.go("a2")
    assert guests.inside[-1] == "a3"
    await guests.go("b1")
    assert guests.inside[-1] == "b2"
    for name in ("a3", "b2"):
        await guests.go(name)
    assert guests.admission.running == guests.admission.queued == 0


async def test_an_organization_is_about_for_a_while_after_its_last_query(monkeypatch: pytest.MonkeyPatch) -> None:
    guests = Guests(Admission(places=4, queue=10))
    await guests.come("b1", "b")
    await guests.go("b1")
    for name in ("a1", "a2"):
        await guests.come(name, "a")
    assert guests.inside == ["b1", "a1"]
    monkeypatch.setattr("gateway.druid.admission._ABOUT", 0.0)
    await guests.come("a3", "a")
    await guests.go("a1")
    assert guests.inside == ["b1", "a1", "a2", "a3"]
    for name in ("a2", "a3"):
        await guests.go(name)


async def test_an_organization_whose_long_query_runs_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.druid.admission._ABOUT", 0.0)
    guests = Guests(Admission(places=4, queue=10))
    for name in ("b1", "a1", "a2"):
        await guests.come(name, name[0])
    assert guests.inside == ["b1", "a1"]
    await guests.go("b1")
    for name in ("a1", "a2"):
        await guests.go(name)


async def test_a_place_goes_to_whom_the_fewest_run_for_and_not_to_the_one_who_asked_most() -> None:
    guests = Guests(Admission(places=2, queue=20))
    await guests.come("a1", "a")
    await guests.come("b1", "b")
    for name in ("a2", "a3", "a4", "c1"):
        await guests.come(name, name[0])
    await guests.go("b1")
    assert guests.inside[-1] == "c1"
    await guests.go("a1")
    assert guests.inside[-1] == "a2"
    for name in ("c1", "a2", "a3", "a4"):
        await guests.go(name)


async def test_who_finds_the_queue_full_is_refused_and_told_when_to_ask_again() -> None:
    guests = Guests(Admission(places=2, queue=4))
    for name in ("a1", "a2", "a3"):
        await guests.come(name, "a")
    with pytest.raises(QueueFull) as refused:
        async with guests.admission.place("a", soon()):
            pytest.fail("there was no room")
    assert refused.value.headers["Retry-After"] == "1"
    for name in ("a1", "a2", "a3"):
        await guests.go(name)


async def test_who_waits_until_the_deadline_is_told_so_and_leaves_no_trace() -> None:
    guests = Guests(Admission(places=2, queue=4))
    await guests.come("a1", "a")
    with pytest.raises(DeadlineExceeded):
        async with guests.admission.place("a", soon(0.02)):
            pytest.fail("there was no room")
    assert guests.admission.queued == 0
    await guests.go("a1")


async def test_who_leaves_the_queue_makes_room_in_it() -> None:
    guests = Guests(Admission(places=2, queue=4))
    await guests.come("a1", "a")
    await guests.come("a2", "a")
    guests.tasks["a2"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await guests.tasks["a2"]
    assert guests.admission.queued == 0
    await guests.go("a1")


async def test_a_query_keeps_its_place_until_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    admission, ended = Admission(places=2, queue=4), asyncio.Event()

    async def leave() -> None:
        async with admission.place("a", soon()) as place:
            place.ends = [asyncio.create_task(_until(ended))]

    await leave()
    assert admission.running == 1
    ended.set()
    async with asyncio.timeout(5), admission.place("a", soon()):
        assert admission.running == 1
    ended.clear()
    # What does not end has it for a while.
    monkeypatch.setattr("gateway.druid.admission._ENDING", 0.01)
    await leave()
    async with asyncio.timeout(5), admission.place("a", soon()):
        assert admission.running == 1
    ended.set()


async def _until(ended: asyncio.Event) -> None:
    await ended.wait()


@contextmanager
def at_most(admission: Admission, places: int) -> Iterator[None]:
    assert 1 <= admission.running <= places
    yield


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), min_size=1, max_size=30),
    st.integers(2, 5),
)
def test_whatever_happens_no_place_is_lost_and_none_is_made_up(
    visits: list[tuple[str, int, bool]], places: int
) -> None:
    async def visit(admission: Admission, organization: str, turns: int) -> None:
        async with admission.place(organization, soon()):
            with at_most(admission, places):
                for _ in range(turns):
                    await asyncio.sleep(0)

    async def everything() -> None:
        admission = Admission(places=places, queue=1000)
        tasks = []
        for organization, turns, leaves in visits:
            task = asyncio.create_task(visit(admission, organization, turns))
            tasks.append(task)
            await asyncio.sleep(0)
            if leaves:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert admission.running == admission.queued == 0

    asyncio.run(everything())
