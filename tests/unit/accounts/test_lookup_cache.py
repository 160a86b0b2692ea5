import asyncio

import pytest

from gateway.accounts.lookup_cache import LookupCache


class Source:
    """Returns how often it was asked, once `open` is set; names that begin with "no" do not exist."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.counted: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Exception | None = None

    async def load(self, key: str) -> int | None:
        self.asked.append(key)
        await self.open.wait()
        if self.failure:
            raise self.failure
        return None if key.startswith("no") else len(self.asked)

    def cache(self, size: int = 10) -> LookupCache[str, int]:
        return LookupCache(self.load, ttl=3, size=size, count=self.counted.append, clock=lambda: self.now)


async def test_a_result_is_used_until_it_expires() -> None:
    source = Source()
    cache = source.cache()
    assert await cache.get("a") == 1
    source.now = 2.999
    assert await cache.get("a") == 1
    source.now = 3.0
    assert await cache.get("a") == 2
    assert source.counted == ["database", "memory", "database"]


async def test_an_absent_key_is_cached_too() -> None:
    source = Source()
    cache = source.cache()
    assert [await cache.get("none"), await cache.get("none")] == [None, None]
    assert source.asked == ["none"]


async def test_concurrent_callers_share_one_load() -> None:
    source = Source()
    source.open.clear()
    cache = source.cache()
    callers = [asyncio.create_task(cache.get("a")) for _ in range(100)]
    await asyncio.sleep(0)
    source.open.set()
    assert await asyncio.gather(*callers) == [1] * 100
    assert source.counted == ["database"] + ["shared"] * 99


async def test_a_cancelled_caller_does_not_cancel_the_load_of_the_others() -> None:
    source = Source()
    source.open.clear()
    cache = source.cache()
    first, second = (asyncio.create_task(cache.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.open.set()
    assert await second == 1
    assert first.cancelled()


async def test_a_results_age_counts_from_the_start_of_its_load() -> None:
    source = Source()
    source.open.clear()
    cache = source.cache()
    caller = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    source.now = 2.0
    source.open.set()
    assert await caller == 1
    source.now = 3.0
    assert await cache.get("a") == 2


async def test_a_load_slower_than_the_ttl_answers_its_callers_and_is_not_cached() -> None:
    source = Source()
    source.open.clear()
    cache = source.cache()
    caller = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    source.now = 4.0
    source.open.set()
    assert await caller == 1
    assert await cache.get("a") == 2


async def test_a_failure_reaches_every_caller_and_is_not_cached() -> None:
    source = Source()
    source.failure = OSError()
    cache = source.cache()
    failed = await asyncio.gather(cache.get("a"), cache.get("a"), return_exceptions=True)
    assert list(failed) == [source.failure] * 2
    source.failure = None
    assert await cache.get("a") == 2


async def test_a_failure_without_remaining_callers_is_silent() -> None:
    source = Source()
    source.open.clear()
    source.failure = OSError()
    cache = source.cache()
    caller = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    source.open.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert cache._loading == {}


async def test_invented_keys_evict_each_other_and_no_existing_key() -> None:
    source = Source()
    cache = source.cache(size=10)
    assert await cache.get("a") == 1
    for number in range(1000):
        await cache.get(f"no{number}")
    assert len(cache._absent) == 10
    assert await cache.get("a") == 1


async def test_the_number_of_results_is_bounded() -> None:
    source = Source()
    cache = source.cache(size=2)
    for key in ("a", "b", "c"):
        await cache.get(key)
    assert set(cache._existing) == {"b", "c"}


async def test_a_deleted_key_becomes_absent_and_a_new_key_is_found() -> None:
    results: list[int | None] = [1, None, 2]
    now = 0.0

    async def load(_key: str) -> int | None:
        return results.pop(0)

    cache = LookupCache(load, ttl=3, size=10, clock=lambda: now)
    for expected in (1, None, 2):
        assert await cache.get("a") == expected
        now += 3
