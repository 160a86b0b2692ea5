"""Druid as the web layer sees it: the chain of links, and whether it can answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.druid.broker_pool import Brokers
from gateway.druid.chain import DruidRequest, DruidResponse, Link
from gateway.druid.completeness import Completeness
from gateway.druid.intervals import TimeRange
from gateway.druid.schema_monitor import SchemaMonitor
from gateway.query.compile import DruidQuery


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether queries can be answered, and whether any data set is served.

    Reports on `unknown_data_sources` are 503 `data_unavailable`; `unavailable_data_sets` are not served, with reasons.
    """

    is_ready: bool
    serves_any: bool
    unavailable_data_sets: Mapping[str, tuple[str, ...]]
    completeness: Literal["on", "off"]
    unknown_data_sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Druid:
    """The first link, and the parts that know about readiness."""

    first: Link[DruidRequest]
    brokers: Brokers
    completeness: Completeness
    schemas: SchemaMonitor

    async def run(
        self, query: DruidQuery, query_id: str, deadline: float, *, heavy: bool = False, fresh: bool = False
    ) -> DruidResponse:
        """Return the response to a query; see DruidRequest. Raises a GatewayError."""
        return await self.first.run(
            DruidRequest(query=query, query_id=query_id, deadline=deadline, heavy=heavy, fresh=fresh)
        )

    def unpublished(self, data_source: str) -> tuple[TimeRange, ...]:
        """Return the time of rows that streams have read and not published, as far as it is known."""
        return self.completeness.unpublished(data_source)

    async def readiness(self) -> Readiness:
        """Return whether a broker answers now and the data of at least one data source is known."""
        return Readiness(
            await self.brokers.is_healthy() and self.completeness.knows_any(),
            self.schemas.serves_any(),
            self.schemas.unavailable(),
            self.completeness.state,
            self.completeness.unknown(),
        )
