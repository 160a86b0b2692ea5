"""`until`: a time limit whose timer starts only if the coroutine waits."""

import asyncio

import pytest

from gateway.web.deadlines import until


def _now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_coroutine_that_does_not_wait_returns_its_result_even_after_the_deadline() -> None:
    async def ends_at_once() -> int:
        return 1

    assert await until(_now() - 1, ends_at_once()) == 1


async def test_a_coroutine_that_waits_returns_its_result_before_the_deadline() -> None:
    async def waits() -> list[str]:
        await asyncio.sleep(0)
        found = await asyncio.gather(asyncio.sleep(0, "a"), asyncio.sleep(0.001, "b"))
        return [*found, await asyncio.sleep(0, "c")]

    assert await until(_now() + 60, waits()) == ["a", "b", "c"]


async def test_a_coroutine_that_waits_too_long_is_cancelled() -> None:
    cancelled = False

    async def waits() -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(TimeoutError):
        await until(_now() + 0.01, waits())
    assert cancelled
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


@pytest.mark.parametrize("waits_first", [False, True])
async def test_an_error_of_the_coroutine_is_raised(*, waits_first: bool) -> None:
    async def fails() -> None:
        if waits_first:
            await asyncio.sleep(0.001)
        raise ValueError("as it was")

    with pytest.raises(ValueError, match="as it was"):
        await until(_now() + 60, fails())


async def test_the_coroutine_may_handle_an_error_of_what_it_waits_for() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError

    async def handles() -> str:
        task = asyncio.create_task(fails())
        try:
            await task
        except KeyError:
            return await asyncio.sleep(0.001, "handled")
        return "not raised"

    assert await until(_now() + 60, handles()) == "handled"


async def test_a_cancellation_from_outside_is_not_a_timeout() -> None:
    started = asyncio.Event()

    async def waits() -> None:
        started.set()
        await asyncio.Event().wait()

    async def limited() -> None:
        await until(_now() + 60, waits())

    task = asyncio.create_task(limited())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
