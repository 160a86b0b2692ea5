"""When to send a request again, and when to give up."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from time import monotonic
from typing import Final

from gateway.client.exchange import NoResponse, Outcome

_RETRIED: Final = frozenset({429, 503})
_SPREAD: Final = 0.2
"""Clients that were refused together wait for different times: up to this fraction longer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a client.

    A request is sent at most `attempts` times, which take at most `seconds` with the pauses between them. Responses
    with an ETag are stored, up to `stored_bytes` in all.
    """

    attempts: int = 4
    seconds: float = 120.0
    stored_bytes: int = 64 * 2**20

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")
        if not 0 < self.seconds < inf:
            raise ValueError("seconds must be a finite number above 0")


DEFAULT_LIMITS: Final = Limits()


class Attempts:
    """The attempts of one request. Reports change nothing, so that each can be sent again."""

    def __init__(self, limits: Limits) -> None:
        self._left = limits.attempts
        self._deadline = monotonic() + limits.seconds
        self._pause = 0.5

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._deadline - monotonic())

    def pause_after(self, outcome: Outcome) -> float | None:
        """Return how many seconds to wait before the next attempt; None if this outcome is final."""
        self._left -= 1
        self._pause *= 2
        if not isinstance(outcome, NoResponse) and outcome.status not in _RETRIED:
            return None
        headers = {} if isinstance(outcome, NoResponse) else outcome.headers
        asked = _retry_after(headers)
        pause = (self._pause if asked is None else asked) * random.uniform(1, 1 + _SPREAD)  # noqa: S311 - no secret
        return pause if self._left > 0 and pause < self.seconds_left else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After, which are a number or a date; None if there are none."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
