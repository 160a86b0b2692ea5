"""Monitors the rows that only streaming tasks have, so that rows which disappear are noticed.

Rows that a task has read and not yet published are in no metadata. If the task ends before it publishes them, Druid
responds without them, with status 200, until another task has read them again: into segments of the same names, and as
many rows (without rollup). So rows that were seen once must be there, until a historical has them or a newer version
replaces them.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from math import isfinite
from time import monotonic
from types import TracebackType
from typing import Self

import structlog
from prometheus_client import Gauge

from gateway.druid.api.broker import Broker, NoAnswer
from gateway.druid.api.http import describe
from gateway.druid.broker_pool import Brokers
from gateway.druid.completeness.availability import Availability, DataNotKnown
from gateway.druid.completeness.outage import Outage
from gateway.druid.completeness.realtime_state import RealtimeRows, after_check
from gateway.druid.intervals import ALWAYS, TimeRange, span
from gateway.druid.segments import Segment
from gateway.errors import InvalidDruidResponse

_log = structlog.get_logger(__name__)

CHECK_EVERY = 0.5
"""Seconds between two checks. A task that lost a few rows has read them again in less than a second."""
_CHECK_SECONDS = 2.0
_SEARCH_SECONDS = 10.0
"""The time limit for the list of all segments, which a broker needs a while for if there are many."""
_SEARCH_AGAIN = 2.0
"""Seconds until the next search after one that failed."""
_START_SECONDS = 10.0
"""How long the start waits for the first searches."""


class _Stream:
    """The realtime rows of one data source: checked regularly, and after each query of their time."""

    def __init__(self, data_source: str, availability: Availability, max_age: float) -> None:
        self._data_source = data_source
        self._availability = availability
        self._max_age = max_age
        self._has_had_rows = False
        self._known: dict[Segment, RealtimeRows] = {}
        self._checking = asyncio.Lock()
        self._began = self._searched_at = float("-inf")
        self.was_searched = asyncio.Event()
        self._search_outage = Outage(data_source, failed="streams_not_searched", again="streams_searched_again")
        self._check_outage = Outage(data_source, failed="rows_not_counted", again="rows_counted_again")

    @property
    def age(self) -> float:
        """Seconds since all time was searched; infinite before the first time."""
        return monotonic() - self._searched_at

    @property
    def is_known(self) -> bool:
        """Whether all time was searched, and recently, if the data source ever had rows that only tasks had."""
        return self.age <= self._max_age if self._has_had_rows else isfinite(self.age)

    async def search_forever(self, brokers: Brokers, period: float) -> None:
        """Search all time for segments that only tasks have, every `period` seconds."""
        while True:
            succeeded = await self._attempt(self._search(brokers), self._search_outage)
            self.was_searched.set()
            await asyncio.sleep(period if succeeded else min(period, _SEARCH_AGAIN))

    async def check_forever(self, brokers: Brokers) -> None:
        """Check the segments that are known, and the time around them."""
        while True:
            if self._known:
                await self._attempt(self._check_known(brokers), self._check_outage)
            await asyncio.sleep(CHECK_EVERY)

    async def _attempt(self, work: Awaitable[None], outage: Outage) -> bool:
        """Return whether the work succeeded. Nothing that goes wrong may end the checks for good."""
        now = asyncio.get_running_loop().time
        try:
            await work
        except (NoAnswer, InvalidDruidResponse) as error:
            outage.failure(describe(error.__cause__ or error), now(), age=self.age)
        except Exception as error:  # noqa: BLE001 - see above
            outage.failure(type(error).__name__, now(), age=self.age, traceback=True)
        else:
            outage.success(now())
            return True
        return False

    async def _search(self, brokers: Brokers) -> None:
        """Search with another broker if one fails."""
        *others, last = brokers.answering or brokers
        for broker in others:
            with suppress(NoAnswer, InvalidDruidResponse):
                return await self._search_at(broker)
        return await self._search_at(last)

    async def _search_at(self, broker: Broker) -> None:
        began, deadline = monotonic(), asyncio.get_running_loop().time() + _SEARCH_SECONDS
        # Without the lock: the list may take long, and meanwhile reports wait for checks.
        candidates = await broker.candidates(self._data_source, ALWAYS, deadline)
        found = [each.segment.time_range for each in candidates if each.tasks]
        async with self._checking:
            await self._check(broker, found)
        self._searched_at = began

    async def _check_known(self, brokers: Brokers) -> None:
        # The same broker as long as it answers: another one may learn of new segments a moment later.
        broker, *_ = brokers.answering or brokers
        async with self._checking:
            await self._check(broker)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._remove_dropped()

    async def missing(self, queried: TimeRange, began: float, broker: Broker) -> TimeRange | None:
        """Return the first time whose rows may be missing in the response that the broker just gave, or None.

        `began` is the event loop's time before the query was sent. Raises NoAnswer or InvalidDruidResponse.
        """
        received_at = asyncio.get_running_loop().time()
        if any(segment.time_range.overlaps(queried) for segment in self._known) and not self._missing(queried, began):
            # One check is enough for all that wait, if it begins after their responses.
            async with self._checking:
                if self._began < received_at:
                    await self._check_rows(broker)
        return self._missing(queried, began)

    def _missing(self, queried: TimeRange, began: float) -> TimeRange | None:
        return min(
            (
                segment.time_range.intersection(queried)
                for segment, rows in self._known.items()
                if segment.time_range.overlaps(queried) and (rows.is_missing_rows or rows.back_at > began)
            ),
            default=None,
        )

    def unpublished(self) -> tuple[TimeRange, ...]:
        """Return the time of the segments that only tasks have."""
        return tuple(segment.time_range for segment in self._known)

    async def _remove_dropped(self) -> None:
        """Remove segments that were published and then dropped: no server is supposed to serve them."""
        for segment in [each for each, rows in self._known.items() if rows.is_missing_rows and not rows.found]:
            if await self._availability.is_dropped(self._data_source, segment):
                self._update({each: rows for each, rows in self._known.items() if each != segment}, self._began)

    async def _check_rows(self, broker: Broker) -> None:
        """Check the numbers of rows only: as long as all are there, nothing else matters."""
        began = asyncio.get_running_loop().time()
        rows = await broker.row_counts(self._data_source, self._known, began + _CHECK_SECONDS)
        if all(rows.get(segment, 0) >= known.rows for segment, known in self._known.items()):
            now = asyncio.get_running_loop().time()
            self._update(after_check(self._known, dict.fromkeys(self._known, 1), rows, now), began)
        else:
            await self._check(broker)

    async def _check(self, broker: Broker, found: Iterable[TimeRange] = ()) -> None:
        """Check all segments from the first to the last one that is known, or was found."""
        ranges = [*found, *(segment.time_range for segment in self._known)]
        if not ranges:
            return
        began = asyncio.get_running_loop().time()
        candidates = await broker.candidates(self._data_source, span(ranges), began + _CHECK_SECONDS)
        served = {each.segment: each.tasks for each in candidates}
        only_in_tasks = [segment for segment, tasks in served.items() if tasks]
        deadline = asyncio.get_running_loop().time() + _CHECK_SECONDS
        rows: Mapping[Segment, int] = await broker.row_counts(self._data_source, only_in_tasks, deadline)
        self._update(after_check(self._known, served, rows, asyncio.get_running_loop().time()), began)

    def _update(self, after: dict[Segment, RealtimeRows], began: float) -> None:
        before, self._known, self._began = self._known, after, began
        self._has_had_rows = self._has_had_rows or bool(after)
        for segment in before.keys() | after.keys():
            was, now = before.get(segment), after.get(segment)
            is_missing = now is not None and now.is_missing_rows
            if (was is not None and was.is_missing_rows) != is_missing:
                start, end = segment.time_range.iso()
                rows = now or was
                _log.warning(
                    "rows_missing" if is_missing else "rows_missing_no_longer",
                    data_source=self._data_source,
                    start=start,
                    end=end,
                    rows=rows.rows if rows else 0,
                    found=rows.found if rows else 0,
                )


class RealtimeMonitor:
    """Monitors the streams into the data sources of `availability`, in the background. An async context manager.

    `age` shows the seconds since all time was searched, for the data source that was searched least recently. Queries
    on one that has a stream need a search that is not older than `max_age` seconds.
    """

    def __init__(
        self, brokers: Brokers, availability: Availability, *, period: float, max_age: float, age: Gauge
    ) -> None:
        self._brokers = brokers
        self._streams = {each: _Stream(each, availability, max_age) for each in availability.data_sources}
        self._period = period
        age.set_function(lambda: self.age)

    async def __aenter__(self) -> Self:
        streams = self._streams.values()
        self._tasks = [
            *(asyncio.create_task(each.search_forever(self._brokers, self._period)) for each in streams),
            *(asyncio.create_task(each.check_forever(self._brokers)) for each in streams),
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                await asyncio.gather(*(each.was_searched.wait() for each in streams))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def age(self) -> float:
        """Seconds since every data source was searched; infinite until each was, once."""
        return max((each.age for each in self._streams.values()), default=0.0)

    def age_of(self, data_source: str) -> float:
        """Seconds since this data source was searched; infinite before the first time."""
        return self._streams[data_source].age

    def unknown(self) -> tuple[str, ...]:
        """Return the data sources whose streams are not known well enough."""
        return tuple(name for name, each in self._streams.items() if not each.is_known)

    def require_known(self, data_source: str) -> None:
        """Raises DataNotKnown if this data source is one of them."""
        if not self._streams[data_source].is_known:
            raise DataNotKnown(data_source)

    async def missing(self, data_source: str, queried: TimeRange, began: float, broker: Broker) -> TimeRange | None:
        """Return the first time whose rows may be missing in a response, or None. Raises as _Stream.missing."""
        return await self._streams[data_source].missing(queried, began, broker)

    def unpublished(self, data_source: str) -> tuple[TimeRange, ...]:
        """Return the time of rows that streams have read and not published."""
        return self._streams[data_source].unpublished()
