"""How long things took and how they ended, counted as Prometheus counts, and read off when somebody looks."""

import asyncio
from bisect import bisect_left
from collections.abc import Iterator
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

from gateway.errors import GatewayError

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds up to which each bucket counts."""


def outcome_of(error: BaseException) -> str:
    """Return one of few words for how something ended: an error's code, or that nobody waited for the end."""
    if isinstance(error, GatewayError):
        return error.code
    return "abandoned" if isinstance(error, asyncio.CancelledError) else "failed"


class Histogram(NamedTuple):
    """`buckets` are pairs of a bound and how many were not longer; `total` is the sum of all, in seconds."""

    buckets: list[tuple[str, float]]
    total: float


class Durations:
    """Times by a name, such as an outcome or a data set; never one that a caller made up, for each is kept."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._totals: dict[str, float] = {}

    def note(self, name: str, seconds: float) -> None:
        """Count one that took so long."""
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = [0] * (len(BOUNDS) + 1)
            self._totals[name] = 0.0
        counts[bisect_left(BOUNDS, seconds)] += 1
        self._totals[name] += seconds

    def timing(self, outcome: str = "answered") -> "Timing":
        """Return a context manager that counts how long its body takes, by this outcome or by its error's."""
        return Timing(self, outcome)

    def __iter__(self) -> Iterator[tuple[str, Histogram]]:
        for name, counts in self._counts.items():
            reached, buckets = 0, []
            for bound, count in zip((*BOUNDS, "+Inf"), counts, strict=True):
                reached += count
                buckets.append((str(bound), float(reached)))
            yield name, Histogram(buckets, self._totals[name])


class Timing:
    """One that is being timed. `stop` ends its time before its outcome is known; `outcome` may be told."""

    __slots__ = ("_durations", "_ended", "_good", "_started", "outcome")

    def __init__(self, durations: Durations, good: str) -> None:
        self._durations = durations
        self._good = good
        self._ended: float | None = None
        self.outcome: str | None = None

    def __enter__(self) -> Self:
        self._started = perf_counter()
        return self

    def stop(self) -> None:
        """Count no time from now on."""
        self._ended = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome = self.outcome or (self._good if error is None else outcome_of(error))
        self._durations.note(outcome, (self._ended or perf_counter()) - self._started)
