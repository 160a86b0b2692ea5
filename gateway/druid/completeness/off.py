"""Completeness switched off: Druid's response counts, whether data is missing from it or not."""

import math
from typing import Literal

import structlog
from prometheus_client import Gauge

from gateway.druid.chain import DruidResponse, Link, RoutedRequest
from gateway.druid.intervals import TimeRange

_log = structlog.get_logger(__name__)


class CompletenessOff:
    """Passes requests on unchanged. The gauges of ages show that there is no value."""

    def __init__(self, ages: tuple[Gauge, ...], next_link: Link[RoutedRequest]) -> None:
        self._next = next_link
        for age in ages:
            age.set(math.nan)
        _log.warning("completeness_off", effect="data that Druid does not serve is silently missing from reports")

    async def run(self, request: RoutedRequest) -> DruidResponse:
        """Return the next link's response."""
        return await self._next.run(request)

    @property
    def state(self) -> Literal["off"]:
        """Completeness is not checked."""
        return "off"

    def unknown(self) -> tuple[str, ...]:
        """Return nothing: no knowledge is needed."""
        return ()

    def knows_any(self) -> bool:
        """Return true: no knowledge is needed."""
        return True

    def unpublished(self, data_source: str) -> tuple[TimeRange, ...]:  # noqa: ARG002 - the interface
        """Return nothing: streams are not monitored."""
        return ()
