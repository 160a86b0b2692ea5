"""Which time each data source has data for, so that data which no server holds is noticed.

Druid leaves out, with a 200, whatever no server serves at the moment. What there should be stands in the metadata of
the coordinator (`GET /druid/coordinator/v1/metadata/segments`); what was not there for a query is in its response
context, when asked for with `uncoveredIntervalsLimit`
(https://druid.apache.org/docs/33.0.0/querying/query-context). Time in both is a hole in the answer.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp
import structlog
from yarl import URL

from gateway.druid.row_parser import parse_rows
from gateway.druid.stretches import Segment, Stretch, appended_segments, common, data_stretches, merge

log = structlog.get_logger(__name__)

REMIND_EVERY = 300.0
"""Seconds between two lines of the log that say that the coordinator still cannot be asked."""
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Coverage:
    """What time there is data for, asked of the coordinator every `period` seconds. An async context manager.

    The last knowledge serves while the coordinator cannot be asked; `age` says how old it is. Before a hole is
    believed, the metadata store itself is asked about it: what was known may have been replaced by nothing just now.
    """

    def __init__(self, coordinator: URL, data_sources: Iterable[str], *, period: float) -> None:
        self._metadata = coordinator / "druid/coordinator/v1/metadata"
        self._data_sources = tuple(data_sources)
        self._period = period
        self._known: dict[str, tuple[Stretch, ...]] = {}
        self._appended: dict[str, tuple[Segment, ...]] = {}
        self._asked = float("-inf")
        self._failing_since: float | None = None
        self._said = float("-inf")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        await self._refresh()
        self._task = asyncio.create_task(self._refresh_forever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._session.close()

    @property
    def age(self) -> float:
        """Seconds since the coordinator last answered for every data source; infinite before it ever did."""
        return time.monotonic() - self._asked

    def is_complete(self) -> bool:
        """Whether every data source is known."""
        return self._known.keys() >= set(self._data_sources)

    async def hole(self, data_source: str, uncovered: Iterable[Stretch]) -> Stretch | None:
        """Return the first time of `uncovered` for which there is data; None where there is none.

        Raises LookupError where nothing is known of the data source.
        """
        doubtful = common(self._known[data_source], merge(uncovered))
        if not doubtful:
            return None
        stored = await self._stored(data_source, doubtful)
        return (
            doubtful[0]
            if stored is None
            else next(iter(common(merge(each.stretch for each in stored), doubtful)), None)
        )

    def appended(self, data_source: str, asked: Stretch) -> list[Segment]:
        """Return the data source's segments in that time that were appended to others."""
        return [each for each in self._appended.get(data_source, ()) if each.stretch.overlaps(asked)]

    async def lost(self, data_source: str, missing: Sequence[Segment]) -> Stretch | None:
        """Return the time of the first of these segments that there still is; None where there is none any more."""
        stored = await self._stored(data_source, [each.stretch for each in missing]) if missing else frozenset()
        return next((each.stretch for each in missing if stored is None or each in stored), None)

    async def _stored(self, data_source: str, times: Iterable[Stretch]) -> frozenset[Segment] | None:
        """Return the segments with data that the metadata store has of these times; None where it cannot be asked."""
        url = self._metadata / "datasources" / data_source / "segments"
        intervals = ["/".join(stretch.iso()) for stretch in times]
        try:
            async with self._session.post(url, params={"full": ""}, json=intervals) as response:
                # For what has no segments Druid says 200 and []: a 404 is that of something else in its place.
                response.raise_for_status()
                found = await parse_rows(await response.read())
            # Until the coordinator's next turn, what a newer version has replaced stands beside it.
            all_there = {Segment.stored(each): each["shardSpec"]["type"] != "tombstone" for each in found}
            return frozenset(
                each
                for each, has_data in all_there.items()
                if has_data and not any(other.version > each.version and other.covers(each) for other in all_there)
            )
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("hole_not_confirmed", data_source=data_source, error=repr(error))
            return None

    async def is_dropped(self, data_source: str, segment: Segment) -> bool:
        """Return whether a segment was published and is not to be served any more, as rules of retention say.

        False where the coordinator does not say so.
        """
        url = self._metadata / "datasources" / data_source / "unusedSegments"
        interval = {"interval": "_".join(segment.stretch.iso())}
        with suppress(aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError):
            async with self._session.get(url, params=interval) as response:
                response.raise_for_status()
                unused = await parse_rows(await response.read())
                return segment in {Segment.stored(each["dataSegment"]) for each in unused}
        return False

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            await self._refresh()

    async def _refresh(self) -> None:
        began = time.monotonic()
        try:
            for data_source in self._data_sources:
                segments = await self._ask(data_source)
                self._known[data_source] = data_stretches(segments)
                self._appended[data_source] = appended_segments(segments)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._complain(error, began)
        else:
            self._asked = began
            if self._failing_since is not None:
                log.info("coverage_refreshed_again", away=round(began - self._failing_since, 1))
                self._failing_since = None

    def _complain(self, error: Exception, now: float) -> None:
        """Say it the first time, which a restart explains, and louder every few minutes for as long as it lasts."""
        if self._failing_since is None:
            self._failing_since = self._said = now
            log.warning("coverage_not_refreshed", error=repr(error), age=round(self.age, 1))
        elif now - self._said >= REMIND_EVERY:
            self._said = now
            log.error("coverage_not_refreshed", error=repr(error), age=round(self.age, 1))

    async def _ask(self, data_source: str) -> list[Any]:
        asked = {"datasources": data_source, "includeOvershadowedStatus": "true"}
        async with self._session.get(self._metadata / "segments", params=asked) as response:
            response.raise_for_status()
            return await parse_rows(await response.read())
