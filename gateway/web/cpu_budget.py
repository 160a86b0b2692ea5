"""CPU time per organization: a token bucket, so that no organization uses more of the process than its share."""

import types
from collections.abc import Coroutine, Generator
from math import ceil
from time import monotonic, thread_time
from typing import Any, Final, Protocol, TypeVar

from gateway.errors import RateLimited

T = TypeVar("T")

_MOST_BUCKETS: Final = 10_000
"""Organizations tracked at once; organizations with an untouched budget need no entry."""


class CpuBudget:
    """Every organization may use `seconds_per_minute` of CPU time; unused time accumulates for one minute."""

    def __init__(self, seconds_per_minute: float) -> None:
        self._most = seconds_per_minute
        self._rate = seconds_per_minute / 60
        # The balance of each organization and the time at which it was computed, the oldest first.
        self._balances: dict[str, tuple[float, float]] = {}

    def check(self, organization_id: str) -> None:
        """Raise RateLimited if the organization has used up its CPU time."""
        balance = self._balance(organization_id)
        if balance <= 0:
            wait = max(1, ceil(-balance / self._rate))
            raise RateLimited(
                "Your organization has used up its computing time. Retry later, or send smaller reports.",
                headers={
                    "RateLimit-Policy": f'"cpu-seconds";q={ceil(self._most)};w=60',
                    "RateLimit": f'"cpu-seconds";r=0;t={wait}',
                    "Retry-After": str(wait),
                },
            )

    def charge(self, organization_id: str, seconds: float) -> None:
        """Subtract CPU time. The balance may become negative: the cost of a request is known only afterwards."""
        balance = self._balance(organization_id) - seconds
        self._balances.pop(organization_id, None)
        self._balances[organization_id] = (balance, monotonic())
        while len(self._balances) > _MOST_BUCKETS:
            del self._balances[next(iter(self._balances))]

    def _balance(self, organization_id: str) -> float:
        balance, since = self._balances.get(organization_id, (self._most, 0.0))
        return min(self._most, balance + (monotonic() - since) * self._rate)


class Account(Protocol):
    """Where `metered` adds the CPU time."""

    cpu_seconds: float


@types.coroutine
def metered(coroutine: Coroutine[Any, Any, T], account: Account) -> Generator[Any, Any, T]:
    """Run the coroutine and add the CPU time of each of its steps to the account.

    A step is what runs between two suspensions. The time while the coroutine is suspended belongs to other tasks.
    """
    value: Any = None
    error: BaseException | None = None
    while True:
        began = thread_time()
        try:
            waits_for = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            account.cpu_seconds += thread_time() - began
        try:
            value, error = (yield waits_for), None
        except BaseException as thrown:  # noqa: BLE001 - the coroutine handles it, or it comes out above
            value, error = None, thrown
