"""One of several processes that serve the same address, and its share of what they have together."""

from dataclasses import dataclass
from typing import Final, Self

from gateway.settings import Settings

READY: Final = b"+"
"""What a worker sends to its supervisor once it accepts connections."""


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's place among the others: the `number` of `workers`, from 1.

    `supervisor` is the file descriptor of its connection to the supervisor, `listeners` are those of the sockets.
    """

    number: int
    workers: int
    supervisor: int
    listeners: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.number}/{self.workers}:{self.supervisor}:{','.join(map(str, self.listeners))}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form. Raises ValueError."""
        place, supervisor, listeners = text.split(":")
        number, workers = map(int, place.split("/"))
        return cls(number, workers, int(supervisor), tuple(map(int, listeners.split(","))))


def most_workers(settings: Settings) -> int:
    """Return how many workers there may be, so that each has a share of the slots."""
    return min(settings.druid_queries // 2, settings.druid_heavy_queries, settings.druid_queue // 2)


def share_of(settings: Settings, place: Place) -> Settings:
    """Return the settings of one worker: its part of the slots, and of the rate limits unless a Redis counts them.

    Memory and CPU time are limited per process. The supervisor serves the metrics.
    """
    divided = ["druid_queries", "druid_heavy_queries", "druid_queue"]
    if settings.limits_url is None:
        divided += ["requests_per_minute", "concurrent_reports", "failed_authentications_per_minute"]
    parts = {name: _part(getattr(settings, name), place) for name in divided}
    return settings.model_copy(update={**parts, "metrics_port": None})


def _part(total: int, place: Place) -> int:
    return max(1, total // place.workers + (place.number <= total % place.workers))
