"""Which data exists, so that the absence of data that no server serves is noticed.

What should be there is in the metadata of the coordinator. What was not there for a query is in its response context,
if requested with `uncoveredIntervalsLimit` (https://druid.apache.org/docs/33.0.0/querying/query-context). Time that is
in both is missing from the response.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import structlog
from prometheus_client import Gauge

from gateway.druid.api.coordinator import Coordinator
from gateway.druid.api.http import ServiceError
from gateway.druid.completeness.existing_data import ExistingData, read_existing_data
from gateway.druid.completeness.outage import Outage
from gateway.druid.intervals import TimeRange, intersect, merge
from gateway.druid.periodic import Periodic
from gateway.druid.segments import Segment, current

_log = structlog.get_logger(__name__)

_NEVER = float("-inf")


class DataNotKnown(Exception):
    """It is not known which data exists, or what is known is too old."""


@dataclass(slots=True)
class _Knowledge:
    """What is known of one data source. Times are those of time.monotonic."""

    outage: Outage
    data: ExistingData | None = None
    asked_at: float = _NEVER


class Availability:
    """Asks the coordinator for the data of each data source, every `period` seconds. An async context manager.

    Entering it waits for the first lists, but not for long: a data source without one is unknown until it arrives.
    While the coordinator does not respond, what is known remains valid for `max_age` seconds. `age` shows how old it
    is for the data source that was refreshed least recently. One data source never affects another.
    """

    def __init__(
        self, coordinator: Coordinator, data_sources: Iterable[str], *, period: float, max_age: float, age: Gauge
    ) -> None:
        self._coordinator = coordinator
        self._max_age = max_age
        self._known = {
            each: _Knowledge(Outage(each, failed="coverage_not_refreshed", again="coverage_refreshed_again"))
            for each in data_sources
        }
        self._refreshing = Periodic([partial(self._refresh, each) for each in self._known], period=period)
        age.set_function(lambda: self.age)

    async def __aenter__(self) -> Self:
        await self._refreshing.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._refreshing.__aexit__(kind, error, trace)

    @property
    def age(self) -> float:
        """Seconds since every data source was refreshed; infinite until each was, once."""
        return max((self.age_of(data_source) for data_source in self._known), default=0.0)

    def age_of(self, data_source: str) -> float:
        """Seconds since this data source was refreshed; infinite before the first time."""
        return time.monotonic() - self._known[data_source].asked_at

    def unknown(self) -> tuple[str, ...]:
        """Return the data sources of which nothing is known that is recent enough."""
        return tuple(each for each in self._known if self.age_of(each) > self._max_age)

    @property
    def data_sources(self) -> tuple[str, ...]:
        """All of them, known or not."""
        return tuple(self._known)

    def existing(self, data_source: str) -> ExistingData:
        """Return the data that exists. Raises DataNotKnown."""
        data = self._known[data_source].data
        if data is None or self.age_of(data_source) > self._max_age:
            raise DataNotKnown(data_source)
        return data

    async def missing(self, data_source: str, uncovered: Iterable[TimeRange]) -> TimeRange | None:
        """Return the first time of `uncovered` that has data, or None. Raises DataNotKnown.

        Before data counts as missing, the metadata store is asked: the data may have been deleted a moment ago.
        """
        doubtful = intersect(self.existing(data_source).covered, merge(uncovered))
        if not doubtful:
            return None
        stored = await self._stored(data_source, doubtful)
        if stored is None:
            return doubtful[0]
        return next(iter(intersect(merge(each.time_range for each in stored), doubtful)), None)

    async def first_stored(self, data_source: str, segments: Sequence[Segment]) -> TimeRange | None:
        """Return the time of the first of these segments that still exists, or None."""
        if not segments:
            return None
        stored = await self._stored(data_source, [each.time_range for each in segments])
        return next((each.time_range for each in segments if stored is None or each in stored), None)

    async def is_dropped(self, data_source: str, segment: Segment) -> bool:
        """Whether a segment was published and is not to be served any more, as retention rules may decide.

        False if the coordinator does not say.
        """
        with suppress(ServiceError):
            return segment in await self._coordinator.unused_segments(data_source, segment.time_range)
        return False

    async def _stored(self, data_source: str, ranges: Sequence[TimeRange]) -> frozenset[Segment] | None:
        """Return the segments with data that the metadata store has of these times; None if it cannot be asked."""
        try:
            return await current(await self._coordinator.stored_segments(data_source, ranges))
        except ServiceError as error:
            _log.warning("missing_data_not_confirmed", data_source=data_source, error=str(error))
            return None

    async def _refresh(self, data_source: str) -> None:
        known, asked_at = self._known[data_source], time.monotonic()
        try:
            known.data = await read_existing_data(data_source, self._coordinator.used_segments(data_source))
        except ServiceError as error:
            known.outage.failure(str(error), asked_at, age=self.age_of(data_source))
        except Exception:  # noqa: BLE001 - see below
            # A fault of ours must not end the refreshing of this data source for good.
            _log.exception("coverage_refresh_failed", data_source=data_source)
        else:
            known.asked_at = asked_at
            known.outage.success(asked_at)
