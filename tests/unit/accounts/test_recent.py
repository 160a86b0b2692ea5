import asyncio

import pytest

from gateway.accounts.recent import Recent


class Source:
    """Answers with the number of times it was asked, once `open` is set; names that begin with "no" have none."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Exception | None = None

    async def load(self, key: str) -> int | None:
        self.asked.append(key)
        await self.open.wait()
        if self.failure:
            raise self.failure
        return None if key.startswith("no") else len(self.asked)

    def recent(self, size: int = 10) -> Recent[str, int]:
        return Recent(self.load, ttl=3, size=size, clock=lambda: self.now)


async def test_an_answer_is_used_for_its_time_and_no_longer() -> None:
    source = Source()
    recent = source.recent()
    assert await recent.get("a") == 1
    source.now = 2.999
    assert await recent.get("a") == 1
    source.now = 3.0
    assert await recent.get("a") == 2


async def test_no_answer_is_an_answer_too() -> None:
    source = Source()
    recent = source.recent()
    assert [await recent.get("nobody"), await recent.get("nobody")] == [None, None]
    assert source.asked == ["nobody"]


async def test_many_callers_at_once_ask_once() -> None:
    source = Source()
    source.open.clear()
    recent = source.recent()
    callers = [asyncio.create_task(recent.get("a")) for _ in range(100)]
    await asyncio.sleep(0)
    source.open.set()
    assert await asyncio.gather(*callers) == [1] * 100


async def test_a_caller_who_leaves_takes_the_answer_from_nobody() -> None:
    source = Source()
    source.open.clear()
    recent = source.recent()
    first, second = (asyncio.create_task(recent.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.open.set()
    assert await second == 1
    assert first.cancelled()


async def test_an_answers_age_counts_from_when_it_was_asked_for() -> None:
    source = Source()
    source.open.clear()
    recent = source.recent()
    caller = asyncio.create_task(recent.get("a"))
    await asyncio.sleep(0)
    source.now = 2.0
    source.open.set()
    assert await caller == 1
    source.now = 3.0
    assert await recent.get("a") == 2


async def test_a_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    source = Source()
    source.failure = OSError()
    recent = source.recent()
    failed = await asyncio.gather(recent.get("a"), recent.get("a"), return_exceptions=True)
    assert list(failed) == [source.failure] * 2
    source.failure = None
    assert await recent.get("a") == 2


async def test_a_failure_that_nobody_waits_for_is_silent() -> None:
    source = Source()
    source.open.clear()
    source.failure = OSError()
    recent = source.recent()
    caller = asyncio.create_task(recent.get("a"))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    source.open.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert recent._asking == {}


async def test_invented_keys_push_out_each_other_and_nobody_who_is_known() -> None:
    source = Source()
    recent = source.recent(size=10)
    assert await recent.get("a") == 1
    for number in range(1000):
        await recent.get(f"no{number}")
    assert len(recent._absent) == 10
    assert await recent.get("a") == 1


async def test_the_oldest_answers_make_room() -> None:
    source = Source()
    recent = source.recent(size=2)
    for key in ("a", "b", "c"):
        await recent.get(key)
    assert set(recent._found) == {"b", "c"}


async def test_what_is_gone_is_forgotten_and_what_appears_is_found() -> None:
    answers: list[int | None] = [1, None, 2]
    times = iter((0.0, 3.0, 3.0, 6.0, 6.0))

    async def load(_key: str) -> int | None:
        return answers.pop(0)

    recent = Recent(load, ttl=3, size=10, clock=lambda: next(times))
    assert [await recent.get("a") for _ in range(3)] == [1, None, 2]
