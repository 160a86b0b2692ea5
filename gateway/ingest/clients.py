"""The services of Druid that an ingestion uses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import aiohttp

from gateway.druid.api.broker import Broker
from gateway.druid.api.compaction import Compaction
from gateway.druid.api.coordinator import Coordinator
from gateway.druid.api.http import Service
from gateway.druid.api.overlord import Overlord
from gateway.druid.api.security import OPEN, Security
from gateway.druid.api.urls import ServiceUrl

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)


@dataclass(frozen=True, slots=True)
class DruidUrls:
    """Where Druid's services are. In most clusters one process is overlord and coordinator."""

    overlord: ServiceUrl
    broker: ServiceUrl
    coordinator: ServiceUrl
    security: Security = OPEN

    @classmethod
    def parse(cls, overlord: str, broker: str, coordinator: str | None = None, *, security: Security = OPEN) -> Self:
        """Raises ValueError. Without `coordinator`, the overlord's URL is used."""
        return cls(ServiceUrl(overlord), ServiceUrl(broker), ServiceUrl(coordinator or overlord), security)


@dataclass(frozen=True, slots=True)
class Clients:
    overlord: Overlord
    coordinator: Coordinator
    compaction: Compaction
    broker: Broker


@asynccontextmanager
async def connect(urls: DruidUrls) -> AsyncIterator[Clients]:
    """Open clients of the services. Connections are made when they are first used."""
    async with (
        Service([urls.overlord], urls.security, timeout=_TIMEOUT) as overlord,
        Service([urls.coordinator], urls.security, timeout=_TIMEOUT) as coordinator,
        Coordinator([urls.coordinator], urls.security) as segments,
        Broker(urls.broker, urls.security) as broker,
    ):
        yield Clients(Overlord(overlord), segments, Compaction(coordinator), broker)
