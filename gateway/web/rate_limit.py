"""How much one address, and one organization, may ask, so that all others can ask, too.

Three limits: failed authentications of an address, requests of an organization, reports of an organization that run at
the same time. Counted in this process, or in a Redis that several share; while that one does not answer, each process
counts for itself: then up to as many times more are let through as there are processes, which is better than
letting nobody through, and never unlimited.

The header fields are those of https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from time import monotonic, time
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import structlog
from coredis import ConnectionPool
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from gateway.errors import RateLimited
from gateway.settings import Settings
from gateway.web.rate_limit_storage import Counters

REFUSED_APART: Final = 0.05
"""Seconds from one refusal to the next."""
REFUSED_SECONDS: Final = 2.0
"""The most that one of many refusals waits."""
_PATIENCE: Final = 0.25
"""Seconds that Redis may take; a request waits for it no longer."""
_APART: Final = 5.0
"""Seconds for which Redis is left alone after it failed."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit: `remaining` of `item`, for another `seconds`."""

    name: str
    item: RateLimitItem
    remaining: int
    seconds: int

    def headers(self) -> Mapping[str, str]:
        """Return the header fields that say so."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.item.amount};w={self.item.get_expiry()}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.seconds}',
        }

    def refusal(self, detail: str) -> RateLimited:
        """Return the error for one who asked for more."""
        return RateLimited(detail, headers={**self.headers(), "Retry-After": str(self.seconds)})


class Refusals:
    """The turns in which refusals (429) leave, for others would wait for those of callers who ask again at once."""

    def __init__(self) -> None:
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until REFUSED_APART seconds after the last one's turn, but no longer than REFUSED_SECONDS."""
        now = asyncio.get_running_loop().time()
        mine = min(max(now, self._next), now + REFUSED_SECONDS)
        self._next = mine + REFUSED_APART
        await asyncio.sleep(mine - now)


class Limiter:
    """Counts and refuses: addresses and organizations, by the texts that name them, always with `RateLimited`.

    An async context manager: it may hold connections to Redis.
    """

    def __init__(self, settings: Settings) -> None:
        self._failures = RateLimitItemPerMinute(settings.failed_authentications_per_minute)
        self._requests = RateLimitItemPerMinute(settings.requests_per_minute)
        self._concurrent = settings.concurrent_reports
        # A report ends by its deadline. Where its process ended instead, its place is free again a little later.
        self._lease = ceil(settings.request_timeout) + 5
        self._own = FixedWindowRateLimiter(Counters())
        self._connections: ConnectionPool | None = None
        self._shared: FixedWindowRateLimiter | None = None
        if settings.limits_url is not None:
            url = settings.limits_url.get_secret_value()
            self._connections = ConnectionPool.from_url(url, decode_components=True)
            options: dict[str, Any] = {"connection_pool": self._connections}
            self._shared = FixedWindowRateLimiter(
                RedisStorage(f"async+{url}", wrap_exceptions=True, key_prefix="gateway-limits", **options)
            )
        self._failing = False
        self._shared_from = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connections is not None:
            self._connections.disconnect()

    async def admit(self, address: str) -> None:
        """Refuse an address from which too many authentications have failed."""
        if not await self._count(lambda limiter: limiter.test(self._failures, "address", address)):
            quota = await self._quota("failed-authentications", self._failures, "address", address)
            log.warning("address_refused", address=address)
            raise quota.refusal("Too many authentications from this address have failed. Ask again later.")

    async def note_failure(self, address: str) -> None:
        """Count an authentication that failed."""
        await self._count(lambda limiter: limiter.hit(self._failures, "address", address))

    async def spend(self, organization_id: str) -> Quota:
        """Count a request of the organization, or refuse it; what is left."""
        allowed = await self._count(lambda limiter: limiter.hit(self._requests, "organization", organization_id))
        quota = await self._quota("requests", self._requests, "organization", organization_id)
        if not allowed:
            raise quota.refusal("Your organization has asked too often. Ask again later.")
        return quota

    @asynccontextmanager
    async def running(self, organization_id: str) -> AsyncIterator[None]:
        """Hold one of the organization's places for as long as a report runs, or refuse it where none is free."""
        taken = await self._count(lambda limiter: self._take(limiter.storage, organization_id))
        if taken is None:
            policy = f'"concurrent-reports";q={self._concurrent};qu="concurrent-requests"'
            raise RateLimited(
                f"{self._concurrent} reports of your organization are running already. Ask again when one has ended.",
                headers={"RateLimit-Policy": policy, "RateLimit": '"concurrent-reports";r=0', "Retry-After": "1"},
            )
        storage, place = taken
        try:
            yield
        finally:
            # Where it was taken: at the same place in the other storage may be somebody else's report.
            await self._give_back(storage, place)

    async def _take(self, storage: Storage, organization_id: str) -> tuple[Storage, str] | None:
        """Take a free place. Each is a counter that only one who finds it at zero may have, and that expires."""
        first = random.randrange(self._concurrent)  # noqa: S311 - only so that they seldom try the same one
        for number in range(self._concurrent):
            place = f"report/{organization_id}/{(first + number) % self._concurrent}"
            if await storage.incr(place, self._lease) == 1:
                return storage, place
        return None

    async def _give_back(self, storage: Storage, place: str) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await storage.clear(place)
        except (StorageError, OSError, TimeoutError) as error:
            self._note_outage(error)

    async def _quota(self, name: str, item: RateLimitItem, *whose: str) -> Quota:
        stats = await self._count(lambda limiter: limiter.get_window_stats(item, *whose))
        return Quota(name, item, stats.remaining, max(1, ceil(stats.reset_time - time())))

    async def _count(self, ask: Callable[[FixedWindowRateLimiter], Awaitable[T]]) -> T:
        """Ask the shared counters, or this process's where those do not answer."""
        if self._shared is not None and monotonic() >= self._shared_from:
            try:
                async with asyncio.timeout(_PATIENCE):
                    answer = await ask(self._shared)
            except (StorageError, OSError, TimeoutError) as error:
                self._note_outage(error)
            else:
                if self._failing:
                    self._failing = False
                    log.info("limits_shared_again")
                return answer
        return await ask(self._own)

    def _note_outage(self, error: Exception) -> None:
        self._shared_from = monotonic() + _APART
        if not self._failing:
            self._failing = True
            log.error("limits_storage_unavailable", failure=type(error.__cause__ or error).__name__)
