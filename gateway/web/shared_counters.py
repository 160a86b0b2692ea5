"""Counters of the rate limits in a Redis that several processes share. Imported only where one is configured."""

from typing import Any, Final

from coredis import ConnectionPool, Redis
from coredis.exceptions import RedisError
from limits.aio.storage import RedisStorage
from limits.errors import StorageError

from gateway.web.rate_limit_storage import Counter


class SharedCounters:
    """Counters in Redis. Every method raises StorageError or OSError if it does not respond."""

    def __init__(self, url: str) -> None:
        self._connections: Final = ConnectionPool.from_url(url, decode_components=True)
        options: dict[str, Any] = {"connection_pool": self._connections}
        self._redis = RedisStorage(f"async+{url}", wrap_exceptions=True, key_prefix="gateway-limits", **options)

    async def ping(self) -> None:
        """Find out whether Redis responds and accepts the credentials."""
        try:
            await Redis(connection_pool=self._connections).ping()
        except RedisError as error:
            raise StorageError(error) from error

    async def increase(self, key: str, seconds: int) -> int:
        """Increase the counter by 1 and return its value. It expires so many seconds after it was created."""
        return await self._redis.incr(key, seconds)

    async def count(self, key: str, seconds: int) -> Counter:
        """Increase the counter by 1 and return it."""
        return Counter(await self.increase(key, seconds), await self._redis.get_expiry(key))

    async def drop(self, key: str) -> None:
        """Drop the counter."""
        await self._redis.clear(key)

    def close(self) -> None:
        """Close all connections."""
        self._connections.disconnect()
