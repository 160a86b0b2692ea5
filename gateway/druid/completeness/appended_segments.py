"""Segments that were appended to time that other segments fill: Druid silently omits one that no server serves.

A segment that a stream or an appending batch published is served or not on its own, until compaction. So the broker is
asked which of them are served: after its response and, unless that was seen a moment ago, before the query. A segment
that is there both times was there for the response.
"""

import asyncio

from gateway.druid.api.broker import Broker
from gateway.druid.completeness.availability import Availability
from gateway.druid.intervals import TimeRange, span
from gateway.druid.segments import Segment

_RECENT = 1.0
"""Seconds in which no server leaves and comes back."""


class AppendedSegments:
    """Checks the appended segments that `availability` knows."""

    def __init__(self, availability: Availability) -> None:
        self._availability = availability
        # When each was last seen to be served, in the event loop's time, by the broker's name and the segment.
        self._served: dict[tuple[str, str, Segment], float] = {}

    async def missing_before(
        self, data_source: str, queried: TimeRange, broker: Broker, deadline: float
    ) -> TimeRange | None:
        """As `missing`, but without a request if all segments were served a moment ago."""
        now = asyncio.get_running_loop().time()
        appended = self._availability.existing(data_source).appended_in(queried)
        if all(now - self._served.get((broker.name, data_source, each), 0.0) < _RECENT for each in appended):
            return None
        return await self.missing(data_source, queried, broker, deadline)

    async def missing(self, data_source: str, queried: TimeRange, broker: Broker, deadline: float) -> TimeRange | None:
        """Return the time of a segment that the broker knows no server of, or None.

        Raises NoAnswer, InvalidDruidResponse or DataNotKnown.
        """
        appended = self._availability.existing(data_source).appended_in(queried)
        if not appended:
            return None
        now = asyncio.get_running_loop().time()
        candidates = await broker.candidates(data_source, span(each.time_range for each in appended), deadline)
        served = {each.segment for each in candidates if each.servers}
        self._served = {key: at for key, at in self._served.items() if now - at < _RECENT}
        self._served |= {(broker.name, data_source, each): now for each in served}
        missing = [each for each in appended if each not in served and not each.is_replaced(served)]
        return await self._availability.first_stored(data_source, missing)
