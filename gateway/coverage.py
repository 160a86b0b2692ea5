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
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import structlog
from yarl import URL

from gateway.rows import parse_rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)

REMIND_EVERY = 300.0
"""Seconds between two lines of the log that say that the coordinator still cannot be asked."""
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Stretch(NamedTuple):
    """The time from `start` up to, but not including, `end`; in milliseconds since 1970."""

    start: int
    end: int

    def iso(self) -> tuple[str, str]:
        """Return start and end as Druid writes moments."""
        start, end = (
            (EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            for moment in self
        )
        return start, end


def parse_stretch(start: str, end: str) -> Stretch:
    """Return the stretch between two moments as Druid writes them."""
    first, last = (
        (datetime.fromisoformat(moment).replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        for moment in (start, end)
    )
    return Stretch(first, last)


NEVER = parse_stretch("1000-01-01T00:00:00.000Z", "1000-01-01T00:00:00.001Z")
"""A moment that has no data, and is asked for with every query: where Druid does not say that nobody serves it, it has
not looked. A broker that has just started answers for a data source that it does not know yet as for one with no gap.
"""


def merge(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return the same time as few stretches in order, none of which touches the next."""
    merged: list[Stretch] = []
    for stretch in sorted(stretches):
        if merged and stretch.start <= merged[-1].end:
            merged[-1] = Stretch(merged[-1].start, max(merged[-1].end, stretch.end))
        else:
            merged.append(stretch)
    return tuple(merged)


def common(known: Sequence[Stretch], uncovered: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Return the time that is in both; each is merged, and so is what comes back."""
    found = []
    theirs = list(uncovered)
    for mine in known:
        while theirs and theirs[0].end <= mine.start:
            theirs.pop(0)
        for other in theirs:
            if other.start >= mine.end:
                break
            found.append(Stretch(max(mine.start, other.start), min(mine.end, other.end)))
    return tuple(found)


def complement(served: Iterable[Stretch], within: Stretch) -> tuple[Stretch, ...]:
    """Return the time of `within` that is in none of the others."""
    gaps, reached = [], within.start
    for stretch in merge(served):
        if reached < min(stretch.start, within.end):
            gaps.append(Stretch(reached, min(stretch.start, within.end)))
        reached = max(reached, stretch.end)
    return (*gaps, Stretch(reached, within.end)) if reached < within.end else tuple(gaps)


def data_stretches(segments: Iterable[Any]) -> tuple[Stretch, ...]:
    """Return the time that these segments, as the coordinator describes them, have data for.

    Not counted are those that newer ones replace, that no server is to load, and tombstones, which say that there is no
    data any more. Raises KeyError, TypeError or ValueError where a description is of another form.
    """
    # A data source has many segments of the same time: parse each once.
    times = {
        segment["interval"]
        for segment in segments
        if not segment["overshadowed"]
        and segment["replicationFactor"] != 0
        and segment["shardSpec"]["type"] != "tombstone"
    }
    return merge(parse_stretch(*each.split("/")) for each in times)


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
        url = self._metadata / "datasources" / data_source / "segments"
        intervals = ["/".join(stretch.iso()) for stretch in doubtful]
        try:
            async with self._session.post(url, params={"full": ""}, json=intervals) as response:
                # For what has no segments Druid says 200 and []: a 404 is that of something else in its place.
                response.raise_for_status()
                found = await parse_rows(await response.read())
            stored = merge(
                parse_stretch(*each["interval"].split("/"))
                for each in found
                if each["shardSpec"]["type"] != "tombstone"
            )
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.warning("hole_not_confirmed", data_source=data_source, error=repr(error))
            return doubtful[0]
        return next(iter(common(stored, doubtful)), None)

    async def is_dropped(self, data_source: str, segment_id: str, stretch: Stretch) -> bool:
        """Return whether a segment was published and is not to be served any more, as rules of retention say.

        False where the coordinator does not say so.
        """
        url = self._metadata / "datasources" / data_source / "segments"
        with suppress(aiohttp.ClientError, TimeoutError, ValueError):
            async with self._session.get(url / segment_id, params={"includeUnused": "true"}) as response:
                if response.status != 200:
                    return False
            async with self._session.post(url, json=["/".join(stretch.iso())]) as response:
                response.raise_for_status()
                return segment_id not in await parse_rows(await response.read())
        return False

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            await self._refresh()

    async def _refresh(self) -> None:
        began = time.monotonic()
        try:
            for data_source in self._data_sources:
                self._known[data_source] = await self._ask(data_source)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
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

    async def _ask(self, data_source: str) -> tuple[Stretch, ...]:
        asked = {"datasources": data_source, "includeOvershadowedStatus": "true"}
        async with self._session.get(self._metadata / "segments", params=asked) as response:
            response.raise_for_status()
            return data_stretches(await parse_rows(await response.read()))
