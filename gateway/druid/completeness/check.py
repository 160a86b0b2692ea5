"""The link that returns a response only if all the data that exists was served for it."""

import asyncio
from collections.abc import Iterable
from typing import Literal

import structlog

from gateway.druid.api.broker import NoAnswer
from gateway.druid.chain import DruidResponse, Link, RoutedRequest
from gateway.druid.completeness.appended_segments import AppendedSegments
from gateway.druid.completeness.availability import Availability, DataNotKnown
from gateway.druid.completeness.realtime_monitor import RealtimeMonitor
from gateway.druid.intervals import TimeRange, complement, span
from gateway.errors import RETRY_SOON, DataUnavailable, InvalidDruidResponse

_log = structlog.get_logger(__name__)

_PROBE = "1000-01-01T00:00:00.000Z/1000-01-01T00:00:00.001Z"
"""A moment that has no data, queried with every report. If Druid does not say that no server has data for it, the
broker has not looked: one that has just started answers for an unknown data source as for one without gaps."""
_UNCOVERED_LIMIT = 100
"""As many as fit into Druid's header. If there are more gaps, the broker is asked what it serves, and then again."""


class CompletenessCheck:
    """Raises DataUnavailable instead of returning an incomplete response."""

    def __init__(self, availability: Availability, realtime: RealtimeMonitor, next_link: Link[RoutedRequest]) -> None:
        self._availability = availability
        self._appended = AppendedSegments(availability)
        self._realtime = realtime
        self._next = next_link

    @property
    def state(self) -> Literal["on"]:
        """Completeness is checked."""
        return "on"

    def unknown(self) -> tuple[str, ...]:
        """Return the data sources whose data is not known well enough to answer queries on them."""
        return tuple(dict.fromkeys((*self._availability.unknown(), *self._realtime.unknown())))

    def knows_any(self) -> bool:
        """Whether queries on at least one data source can be answered."""
        data_sources = self._availability.data_sources
        return len(self.unknown()) < len(data_sources) or not data_sources

    def unpublished(self, data_source: str) -> tuple[TimeRange, ...]:
        """Return the time of rows that streams have read and not published."""
        return self._realtime.unpublished(data_source)

    async def run(self, request: RoutedRequest) -> DruidResponse:
        """Raises DataUnavailable, NoAnswer before the query was sent, and what the next link raises."""
        data_source, queried = request.query.dataset.data_source, _queried(request.query.native["intervals"])
        try:
            return await self._checked(request, data_source, queried)
        except DataNotKnown as error:
            coverage_age = round(self._availability.age_of(data_source), 1)
            realtime_age = round(self._realtime.age_of(data_source), 1)
            _log.error("data_not_known", data_source=data_source, coverage_age=coverage_age, realtime_age=realtime_age)
            raise DataUnavailable(
                "It is not known at the moment which data exists. Retry soon.", headers=RETRY_SOON
            ) from error

    async def _checked(self, request: RoutedRequest, data_source: str, queried: TimeRange) -> DruidResponse:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._check_before(request, data_source, queried)
        native = request.query.native
        probing = request.with_native(
            intervals=[_PROBE, *_listed(native["intervals"])],
            context={**native["context"], "uncoveredIntervalsLimit": _UNCOVERED_LIMIT},
        )
        response = await self._next.run(probing)
        if response.uncovered is None:
            # Its rows must not be in memory beside those of the next response: the lease covers only one.
            del response
            response = await self._run_again(probing, data_source, queried)
        await self._check_uncovered(data_source, response.uncovered or ())
        await self._check_after(request, data_source, queried, began)
        return response._replace(received_at=loop.time())

    async def _check_before(self, request: RoutedRequest, data_source: str, queried: TimeRange) -> None:
        self._realtime.require_known(data_source)
        try:
            missing = await self._appended.missing_before(data_source, queried, request.broker, request.deadline)
        except InvalidDruidResponse as error:
            raise _uncertain() from error
        if missing:
            raise _unavailable(data_source, missing)

    async def _run_again(self, request: RoutedRequest, data_source: str, queried: TimeRange) -> DruidResponse:
        """Ask a broker that did not list all uncovered time what it serves, and send the query again if it is all.

        The broker has just started, or cannot list so much. What it learned after it planned the first query is not in
        that response, so the one counts that it plans after it was seen to know everything. If it does not list all
        uncovered time in that one either, it must serve everything afterwards, too: what was there before and after was
        there for the response.
        """
        try:
            await self._check_served(request, data_source, queried)
            response = await self._next.run(request)
            if response.uncovered is None:
                await self._check_served(request, data_source, queried)
        except NoAnswer as error:
            raise _uncertain() from error
        return response

    async def _check_served(self, request: RoutedRequest, data_source: str, queried: TimeRange) -> None:
        candidates = await request.broker.candidates(data_source, queried, request.deadline)
        served = [each.segment.time_range for each in candidates if each.servers]
        await self._check_uncovered(data_source, complement(served, queried))

    async def _check_uncovered(self, data_source: str, uncovered: Iterable[TimeRange]) -> None:
        if missing := await self._availability.missing(data_source, uncovered):
            raise _unavailable(data_source, missing, coverage_age=self._availability.age_of(data_source))

    async def _check_after(self, request: RoutedRequest, data_source: str, queried: TimeRange, began: float) -> None:
        try:
            if missing := await self._appended.missing(data_source, queried, request.broker, request.deadline):
                raise _unavailable(data_source, missing)
            if missing := await self._realtime.missing(data_source, queried, began, request.broker):
                raise _unavailable(data_source, missing, realtime_age=self._realtime.age_of(data_source))
        except (NoAnswer, InvalidDruidResponse) as error:
            raise _uncertain() from error


def _listed(intervals: str | list[str]) -> list[str]:
    return [intervals] if isinstance(intervals, str) else intervals


def _queried(intervals: str | list[str]) -> TimeRange:
    return span(TimeRange.parse(each) for each in _listed(intervals))


def _unavailable(data_source: str, missing: TimeRange, **ages: float) -> DataUnavailable:
    start, end = missing.iso()
    rounded = {name: round(age, 1) for name, age in ages.items()}
    _log.error("data_unavailable", data_source=data_source, start=start, end=end, **rounded)
    return DataUnavailable("Some data is not available at the moment. Retry soon.", headers=RETRY_SOON)


def _uncertain() -> DataUnavailable:
    return DataUnavailable("It is not known whether all data is available. Retry soon.", headers=RETRY_SOON)
