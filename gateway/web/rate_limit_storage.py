"""Where the counters of the rate limits are: in this process's memory, or elsewhere (shared_counters.py)."""

from itertools import islice
from time import time
from typing import Final, NamedTuple

MOST_COUNTERS = 100_000
"""The most counters that are kept, of some 200 bytes each; beyond that the oldest are dropped."""
_FEW_COUNTERS = 1024


class Counter(NamedTuple):
    """A counter's value, and when it expires, in seconds since 1970."""

    value: int
    expires: float


_NEW: Final = Counter(0, 0.0)


class Counters:
    """Counters in memory. Expired ones are dropped whenever the number of counters has doubled.

    Not that of https://limits.readthedocs.io, which visits every counter on every hit: 8 ms with 10,000 counters, and
    anyone can have that many addresses.
    """

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}
        self._drop_at = _FEW_COUNTERS

    def __len__(self) -> int:
        return len(self._counters)

    def count(self, key: str, seconds: int) -> Counter:
        """Increase the counter by 1 and return it. It expires so many seconds after it was created."""
        now = time()
        value, expires = self._counters.get(key, _NEW)
        if expires <= now:
            # Removed first, so that the oldest counters come first in the dict.
            self._counters.pop(key, None)
            value, expires = 0, now + seconds
            if len(self._counters) >= self._drop_at:
                self._drop_expired(now)
        counter = self._counters[key] = Counter(value + 1, expires)
        return counter

    def drop(self, key: str) -> None:
        """Drop the counter."""
        self._counters.pop(key, None)

    def _drop_expired(self, now: float) -> None:
        kept = {key: counter for key, counter in self._counters.items() if counter.expires > now}
        for key in islice(list(kept), max(0, len(kept) - MOST_COUNTERS // 2)):
            del kept[key]
        self._counters = kept
        self._drop_at = min(MOST_COUNTERS, max(_FEW_COUNTERS, 2 * len(kept)))
