"""A thread for work that would block the event loop for too long."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import thread_time
from types import TracebackType
from typing import Self, TypeVar
from weakref import WeakValueDictionary

from gateway.web.cpu_budget import Account

T = TypeVar("T")


class Worker:
    """Runs functions one at a time; organizations take turns. An async context manager.

    There is one thread only: the event loop waits a few milliseconds for the interpreter for each thread that runs.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        # An organization has at most one function in the thread's queue, so that others wait for one of them at most.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    async def run(self, function: Callable[[], T], organization_id: str, account: Account) -> T:
        """Return the function's result, and add its CPU time to the account."""

        def timed() -> T:
            began = thread_time()
            try:
                return function()
            finally:
                account.cpu_seconds += thread_time() - began

        turn = self._turns.setdefault(organization_id, asyncio.Lock())
        async with turn:
            return await asyncio.get_running_loop().run_in_executor(self._thread, timed)
