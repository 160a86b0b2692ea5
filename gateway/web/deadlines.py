"""Time limits for what usually ends without waiting."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def until(deadline: float, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Return the coroutine's result; raise TimeoutError at the event loop's time `deadline`.

    Unlike asyncio.timeout_at, it starts a timer only if the coroutine has to wait.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    return (yield from _until(deadline, coroutine, waits_for).__await__())


async def _until(deadline: float, coroutine: Coroutine[Any, Any, T], waits_for: object) -> T:
    async with asyncio.timeout_at(deadline):
        return await _rest_of(coroutine, waits_for)


@types.coroutine
def _rest_of(coroutine: Coroutine[Any, Any, T], waits_for: object) -> Generator[Any, Any, T]:
    """Run a coroutine on that waits for something already."""
    try:
        while True:
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001 - the coroutine handles it, or it comes out below
                waits_for = coroutine.throw(error)
            else:
                waits_for = coroutine.send(value)
    except StopIteration as stop:
        result: T = stop.value
        return result
