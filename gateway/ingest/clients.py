"""The services of Druid that an ingestion uses."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self

import aiohttp

from gateway.druid.api.http import Service, ServiceUrl
from gateway.druid.api.overlord import Overlord
from gateway.ingest.segments_api import BrokerSegments, Coordinator

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)


@dataclass(frozen=True, slots=True)
class DruidUrls:
    """Where Druid's services are. In most clusters one process is overlord and coordinator."""

    overlord: ServiceUrl
    broker: ServiceUrl
    coordinator: ServiceUrl

    @classmethod
    def parse(cls, overlord: str, broker: str, coordinator: str | None = None) -> Self:
        """Raises ValueError. Without `coordinator`, the overlord's URL is used."""
        return cls(ServiceUrl(overlord), ServiceUrl(broker), ServiceUrl(coordinator or overlord))


@dataclass(frozen=True, slots=True)
class Clients:
    overlord: Overlord
    coordinator: Coordinator
    broker: BrokerSegments


@asynccontextmanager
async def connect(urls: DruidUrls) -> AsyncIterator[Clients]:
    """Open clients of the services. Connections are made when they are first used."""
    async with AsyncExitStack() as stack:

        async def service(url: ServiceUrl) -> Service:
            return await stack.enter_async_context(Service([url], timeout=_TIMEOUT))

        yield Clients(
            Overlord(await service(urls.overlord)),
            Coordinator(await service(urls.coordinator)),
            BrokerSegments(await service(urls.broker)),
        )
