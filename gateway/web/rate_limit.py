"""Rate limits, so that no address and no organization can take the gateway away from the others.

There are three limits: failed authentications per address and per token, requests per organization, and concurrent
reports per organization. The counters are in this process or in a Redis that several processes share. While Redis
does not respond, every process counts alone: N processes then let through up to N times as much, but never everything.

The header fields are those of https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10.
"""

import asyncio
import random
from collections.abc import Awaitable, Iterator, Mapping
from math import ceil
from time import monotonic, time
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

import structlog
from limits.errors import StorageError

from gateway.errors import RateLimited
from gateway.settings import Settings
from gateway.web.rate_limit_storage import Counters

if TYPE_CHECKING:
    from gateway.web.shared_counters import SharedCounters

REFUSAL_INTERVAL: Final = 0.05
"""Seconds between two refusals (429) of one caller."""
REFUSAL_MAX_DELAY: Final = 2.0
"""The longest that a refusal is delayed, in seconds."""
_MOST_CALLERS: Final = 1_024
_REDIS_SECONDS: Final = 0.25
"""The time limit for a command to Redis."""
_REDIS_PAUSE: Final = 5.0
"""Seconds for which Redis is not used after it failed."""

T = TypeVar("T")

_log = structlog.get_logger(__name__)


_WINDOW: Final = 60
"""Seconds in which requests and failures are counted."""


class Quota(NamedTuple):
    """What is left of a limit of so many per minute: `remaining`, for another `seconds`."""

    name: str
    most: int
    remaining: int
    seconds: int

    def headers(self) -> Mapping[str, str]:
        """Return the header fields that describe the quota."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.most};w={_WINDOW}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.seconds}',
        }

    def refusal(self, detail: str) -> RateLimited:
        """Return the error for a request beyond the limit."""
        return RateLimited(detail, headers={**self.headers(), "Retry-After": str(self.seconds)})


class RefusalPacer:
    """Spaces out the refusals (429) of each caller, so that one that retries at once does not keep the process busy.

    A caller is an organization or, if it is unknown, an address. Callers never wait for each other.
    """

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    async def wait(self, caller: str) -> None:
        """Wait until REFUSAL_INTERVAL after the caller's previous refusal, at most REFUSAL_MAX_DELAY."""
        now = asyncio.get_running_loop().time()
        turn = min(max(now, self._next.get(caller, now)), now + REFUSAL_MAX_DELAY)
        if len(self._next) >= _MOST_CALLERS:
            self._next = {each: at for each, at in self._next.items() if at > now}
        self._next[caller] = turn + REFUSAL_INTERVAL
        await asyncio.sleep(turn - now)


def _shared_counters(url: str) -> "SharedCounters":
    # Imported only where limits are shared: the client of Redis takes a third of the gateway's time to start.
    from gateway.web.shared_counters import SharedCounters  # noqa: PLC0415

    return SharedCounters(url)


class Limiter:
    """Counts what addresses and organizations do; raises RateLimited beyond a limit.

    An async context manager: it may have connections to Redis.
    """

    def __init__(self, settings: Settings) -> None:
        self._failures = settings.failed_authentications_per_minute
        self._requests = settings.requests_per_minute
        self._concurrent = settings.concurrent_reports
        # A report ends by its deadline. A slot whose process has died becomes free a little later.
        self._slot_seconds = ceil(settings.request_timeout) + 5
        self._local = Counters()
        self._shared = None if settings.limits_url is None else _shared_counters(settings.limits_url.get_secret_value())
        self._failing = False
        self._shared_from = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shared is not None:
            self._shared.close()

    async def count_failure(self, address: str, token_prefix: str | None) -> None:
        """Count a failed authentication; raises RateLimited if the address, or the token, has had too many."""
        keys = [("address", address), *([("token", token_prefix)] if token_prefix else [])]
        for kind, key in keys:
            count, quota = await self._counted("failed-authentications", self._failures, f"{kind}/{key}")
            if count > self._failures:
                raise quota.refusal(f"Too many authentications with this {kind} have failed. Retry later.")

    async def count_request(self, organization_id: str) -> Quota:
        """Count a request of the organization and return what is left of the limit."""
        count, quota = await self._counted("requests", self._requests, f"organization/{organization_id}")
        if count > self._requests:
            raise quota.refusal("Your organization has sent too many requests. Retry later.")
        return quota

    def report_slot(self, organization_id: str) -> "ReportSlot":
        """Hold one of the organization's slots while a report is received, computed and encoded."""
        return ReportSlot(self, organization_id)

    async def take(self, organization_id: str) -> "Taken":
        """Take one of the organization's slots; raises RateLimited if none is free.

        A slot is an expiring counter that only the report which raises it from 0 to 1 may hold.
        """
        taken = None
        if (shared := self._shared_now()) is not None:
            taken = await self._result_of(self._take_shared(shared, organization_id))
        if taken is None:
            taken = self._take_local(organization_id)
        if not taken.slot:
            policy = f'"concurrent-reports";q={self._concurrent};qu="concurrent-requests"'
            raise RateLimited(
                f"{self._concurrent} reports of your organization are running already. Retry when one has ended.",
                headers={"RateLimit-Policy": policy, "RateLimit": '"concurrent-reports";r=0', "Retry-After": "1"},
            )
        return taken

    async def release(self, taken: "Taken") -> None:
        """Release a slot where it was taken: elsewhere it is another report's."""
        if isinstance(taken.storage, Counters):
            taken.storage.drop(taken.slot)
        else:
            await self._result_of(taken.storage.drop(taken.slot))

    async def _take_shared(self, shared: "SharedCounters", organization_id: str) -> "Taken":
        for slot in self._slots_of(organization_id):
            if await shared.increase(slot, self._slot_seconds) == 1:
                return Taken(shared, slot)
        return Taken(shared, "")

    def _take_local(self, organization_id: str) -> "Taken":
        for slot in self._slots_of(organization_id):
            if self._local.count(slot, self._slot_seconds).value == 1:
                return Taken(self._local, slot)
        return Taken(self._local, "")

    def _slots_of(self, organization_id: str) -> Iterator[str]:
        """Yield the names of the organization's slots, from a random one on: this makes collisions rare."""
        first = int(random.random() * self._concurrent)  # noqa: S311
        for number in range(first, first + self._concurrent):
            yield f"report/{organization_id}/{number % self._concurrent}"

    async def _counted(self, name: str, most: int, key: str) -> tuple[int, Quota]:
        counter = None
        if (shared := self._shared_now()) is not None:
            counter = await self._result_of(shared.count(key, _WINDOW))
        count, expires = self._local.count(key, _WINDOW) if counter is None else counter
        return count, Quota(name, most, max(0, most - count), max(1, ceil(expires - time())))

    def _shared_now(self) -> "SharedCounters | None":
        """Return the shared counters, unless there are none or they did not respond lately."""
        return None if self._shared is None or monotonic() < self._shared_from else self._shared

    async def _result_of(self, operation: Awaitable[T]) -> T | None:
        """Return the result of an operation of the shared counters; None if they do not respond."""
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                result = await operation
        except (StorageError, OSError, TimeoutError) as error:
            self._shared_from = monotonic() + _REDIS_PAUSE
            if not self._failing:
                self._failing = True
                _log.error("limits_storage_unavailable", error=type(error.__cause__ or error).__name__)
            return None
        if self._failing:
            self._failing = False
            _log.info("limits_shared_again")
        return result


class Taken(NamedTuple):
    """A slot, and the counters that it was taken from; without a name if none was free."""

    storage: "Counters | SharedCounters"
    slot: str


class ReportSlot:
    """An async context manager that holds a slot of the organization. Raises RateLimited."""

    __slots__ = ("_limiter", "_organization_id", "_taken")

    def __init__(self, limiter: Limiter, organization_id: str) -> None:
        self._limiter = limiter
        self._organization_id = organization_id

    async def __aenter__(self) -> None:
        self._taken = await self._limiter.take(self._organization_id)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._limiter.release(self._taken)
