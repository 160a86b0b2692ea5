"""Where the counters of the rate limits are: in this process's memory, or elsewhere (shared_counters.py)."""

from itertools import islice
from time import time
from typing import Protocol

MOST_COUNTERS = 100_000
"""The most counters that are kept, of some 200 bytes each; beyond that the oldest are dropped."""
_FEW_COUNTERS = 1024


class Storage(Protocol):
    """Counters that expire."""

    async def increase(self, key: str, seconds: int) -> int:
        """Increase the counter by 1 and return it. It expires so many seconds after it was created."""

    async def expires(self, key: str) -> float:
        """Return when the counter expires, in seconds since 1970."""

    async def drop(self, key: str) -> None:
        """Drop the counter."""


class Counters:
    """Counters in memory. Expired ones are dropped whenever the number of counters has doubled.

    Not that of https://limits.readthedocs.io, which visits every counter on every hit: 8 ms with 10,000 counters, and
    anyone can have that many addresses.
    """

    def __init__(self) -> None:
        self._counters: dict[str, tuple[int, float]] = {}
        self._drop_at = _FEW_COUNTERS

    def __len__(self) -> int:
        return len(self._counters)

    async def increase(self, key: str, seconds: int) -> int:
        """Increase the counter."""
        now = time()
        count, until = self._counters.get(key, (0, 0.0))
        if until <= now:
            # Removed first, so that the oldest counters come first in the dict.
            self._counters.pop(key, None)
            count, until = 0, now + seconds
            if len(self._counters) >= self._drop_at:
                self._drop_expired(now)
        self._counters[key] = (count + 1, until)
        return count + 1

    async def expires(self, key: str) -> float:
        """Return when the counter expires."""
        return self._counters[key][1] if key in self._counters else time()

    async def drop(self, key: str) -> None:
        """Drop the counter."""
        self._counters.pop(key, None)

    def _drop_expired(self, now: float) -> None:
        kept = {key: counter for key, counter in self._counters.items() if counter[1] > now}
        for key in islice(list(kept), max(0, len(kept) - MOST_COUNTERS // 2)):
            del kept[key]
        self._counters = kept
        self._drop_at = min(MOST_COUNTERS, max(_FEW_COUNTERS, 2 * len(kept)))
