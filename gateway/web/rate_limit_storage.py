"""The counters of the rate limits in this process's memory.

A storage for https://limits.readthedocs.io. The library's own asyncio storage visits every counter on every hit, which
takes 8 ms with 10,000 counters; anyone can have that many addresses.
"""

from collections.abc import Iterator
from itertools import islice
from time import time

from limits.aio.storage import Storage

MOST_COUNTERS = 100_000
"""The most counters that are kept, of some 200 bytes each; beyond that the oldest are dropped."""
_FEW_COUNTERS = 1024


class Counters(Storage):
    """Counters that expire. Expired ones are dropped whenever the number of counters has doubled."""

    def __init__(self) -> None:
        super().__init__()
        self._counters: dict[str, tuple[int, float]] = {}
        self._drop_at = _FEW_COUNTERS

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors of the storage; this one has none."""
        return ValueError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Increase the counter, which expires `expiry` seconds after it was created."""
        now = time()
        count, until = self._counters.get(key, (0, 0.0))
        if until <= now:
            # Removed first, so that the oldest counters come first in the dict.
            self._counters.pop(key, None)
            count, until = 0, now + expiry
            if len(self._counters) >= self._drop_at:
                self._drop(now)
        self._counters[key] = (count + amount, until)
        return count + amount

    async def get(self, key: str) -> int:
        """Return the counter's value."""
        count, until = self._counters.get(key, (0, 0.0))
        return count if until > time() else 0

    async def get_expiry(self, key: str) -> float:
        """Return when the counter expires, in seconds since 1970."""
        now = time()
        return max(now, self._counters.get(key, (0, now))[1])

    async def clear(self, key: str) -> None:
        """Drop the counter."""
        self._counters.pop(key, None)

    async def reset(self) -> int:
        """Drop all counters; return how many there were."""
        found = len(self._counters)
        self._counters.clear()
        return found

    async def check(self) -> bool:
        """Whether the storage works."""
        return True

    def _drop(self, now: float) -> None:
        kept = {key: counter for key, counter in self._counters.items() if counter[1] > now}
        excess: Iterator[str] = islice(list(kept), max(0, len(kept) - MOST_COUNTERS // 2))
        for key in excess:
            del kept[key]
        self._counters = kept
        self._drop_at = min(MOST_COUNTERS, max(_FEW_COUNTERS, 2 * len(kept)))
