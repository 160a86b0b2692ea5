"""The counters of the limits, in memory.

A storage for https://limits.readthedocs.io, whose own one for asyncio looks at every counter on every hit: 8 ms with
10,000 of them, which is how many addresses anyone can have.
"""

from collections.abc import Iterator
from itertools import islice
from time import time

from limits.aio.storage import Storage

MOST = 100_000
"""Counters kept, of some 200 bytes each; beyond them the oldest are forgotten."""
_FEW = 1024


class Counters(Storage):
    """Counters that each expire; what has expired goes when there are twice as many as there were left last time."""

    def __init__(self) -> None:
        super().__init__()
        self._counters: dict[str, tuple[int, float]] = {}
        self._enough = _FEW

    @property
    def base_exceptions(self) -> type[Exception]:
        """What can go wrong here: nothing."""
        return ValueError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count on, from zero where the counter has expired, and then for `expiry` seconds."""
        now = time()
        count, until = self._counters.get(key, (0, 0.0))
        if until <= now:
            # Put last again: the oldest counters come first.
            self._counters.pop(key, None)
            count, until = 0, now + expiry
            if len(self._counters) >= self._enough:
                self._tidy(now)
        self._counters[key] = (count + amount, until)
        return count + amount

    async def get(self, key: str) -> int:
        """What was counted."""
        count, until = self._counters.get(key, (0, 0.0))
        return count if until > time() else 0

    async def get_expiry(self, key: str) -> float:
        """When the counter expires, in seconds since 1970."""
        now = time()
        return max(now, self._counters.get(key, (0, now))[1])

    async def clear(self, key: str) -> None:
        """Forget the counter."""
        self._counters.pop(key, None)

    async def reset(self) -> int:
        """Forget them all; how many there were."""
        found = len(self._counters)
        self._counters.clear()
        return found

    async def check(self) -> bool:
        """Whether it works."""
        return True

    def _tidy(self, now: float) -> None:
        kept = {key: counter for key, counter in self._counters.items() if counter[1] > now}
        excess: Iterator[str] = islice(list(kept), max(0, len(kept) - MOST // 2))
        for key in excess:
            del kept[key]
        self._counters = kept
        self._enough = min(MOST, max(_FEW, 2 * len(kept)))
