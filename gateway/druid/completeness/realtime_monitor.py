"""Monitors the rows that only streaming tasks have, so that rows which disappear are noticed.

Rows that a task has read and not yet published are in no metadata. If the task ends before it publishes them, Druid
responds without them, with status 200, until another task has read them again: into segments of the same names, and as
many rows (without rollup). So rows that were seen once must be there, until a historical has them or a newer version
replaces them.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog
from prometheus_client import Gauge

from gateway.druid.api.broker import Broker, NoAnswer
from gateway.druid.broker_pool import Brokers
from gateway.druid.completeness.availability import Availability
from gateway.druid.completeness.realtime_state import RealtimeRows, after_check
from gateway.druid.intervals import ALWAYS, TimeRange, span
from gateway.druid.segments import Segment
from gateway.errors import InvalidDruidResponse

_log = structlog.get_logger(__name__)

CHECK_EVERY = 0.5
"""Seconds between two checks. A task that lost a few rows has read them again in less than a second."""
_CHECK_SECONDS = 2.0


class _Stream:
    """The realtime rows of one data source: checked regularly, and after each query of their time."""

    def __init__(self, data_source: str, availability: Availability) -> None:
        self._data_source = data_source
        self._availability = availability
        self._known: dict[Segment, RealtimeRows] = {}
        self._checking = asyncio.Lock()
        self._began = self.checked_at = float("-inf")

    async def monitor(self, brokers: Brokers, period: float) -> None:
        """Check forever: every `period` seconds for tasks of any time, more often for those that are known."""
        everywhere_at = float("-inf")
        while True:
            now = asyncio.get_running_loop().time()
            everywhere = now - everywhere_at >= period
            # The same broker as long as it answers: another one may learn of new segments a moment later.
            broker = next(iter(brokers.answering), None)
            if broker is not None and (everywhere or self._known):
                with suppress(NoAnswer, InvalidDruidResponse):
                    async with self._checking:
                        await self._check(broker, ALWAYS if everywhere else span(s.time_range for s in self._known))
                    everywhere_at = now if everywhere else everywhere_at
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CHECK_SECONDS):
                        await self._remove_dropped()
            await asyncio.sleep(CHECK_EVERY)

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
            await self._check(broker, span(segment.time_range for segment in self._known))

    async def _check(self, broker: Broker, time_range: TimeRange) -> None:
        began = asyncio.get_running_loop().time()
        candidates = await broker.candidates(self._data_source, time_range, began + _CHECK_SECONDS)
        served = {each.segment: each.tasks for each in candidates}
        only_in_tasks = [segment for segment, tasks in served.items() if tasks]
        deadline = asyncio.get_running_loop().time() + _CHECK_SECONDS
        rows: Mapping[Segment, int] = await broker.row_counts(self._data_source, only_in_tasks, deadline)
        self.checked_at = asyncio.get_running_loop().time()
        self._update(after_check(self._known, served, rows, self.checked_at), began)

    def _update(self, after: dict[Segment, RealtimeRows], began: float) -> None:
        before, self._known, self._began = self._known, after, began
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
    """Monitors the streams into each data source. An async context manager: it does so in the background.

    `age` shows the seconds since the last check, for the data source that was checked least recently.
    """

    def __init__(
        self, brokers: Brokers, availability: Availability, data_sources: Iterable[str], *, period: float, age: Gauge
    ) -> None:
        self._brokers = brokers
        self._streams = {data_source: _Stream(data_source, availability) for data_source in data_sources}
        self._period = period
        age.set_function(lambda: self.age)

    async def __aenter__(self) -> Self:
        self._now = asyncio.get_running_loop().time
        self._tasks = [
            asyncio.create_task(each.monitor(self._brokers, self._period)) for each in self._streams.values()
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def age(self) -> float:
        """Seconds since the last check of every data source."""
        return max((self._now() - each.checked_at for each in self._streams.values()), default=0.0)

    async def missing(self, data_source: str, queried: TimeRange, began: float, broker: Broker) -> TimeRange | None:
        """Return the first time whose rows may be missing in a response, or None. Raises as _Stream.missing."""
        return await self._streams[data_source].missing(queried, began, broker)

    def unpublished(self, data_source: str) -> tuple[TimeRange, ...]:
        """Return the time of rows that streams have read and not published."""
        return self._streams[data_source].unpublished()
