"""Segments that were appended to time that others have, too: Druid leaves out one that nobody serves without a word.

What one ingestion wrote at once (the core partitions) Druid serves whole or not at all, and then names its time as
uncovered. A segment that a stream or an appending batch added comes and goes by itself, until compaction. So a broker
is asked which of them are served, after its answer and, unless that was just seen, before it is asked: what is there
both times was there for the answer.
"""

import asyncio

from gateway.druid.api.broker import Broker
from gateway.druid.completeness.availability import Coverage
from gateway.druid.stretches import Segment, Stretch
from gateway.errors import InvalidDruidResponse

_JUST = 1.0
"""Seconds in which no server goes away and comes back."""


class Appended:
    """Looks for the appended segments that `coverage` knows."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        # When each was last served by a broker, the event loop's time, by its name and the segment.
        self._served: dict[tuple[str, str, Segment], float] = {}

    async def look_before(self, data_source: str, asked: Stretch, broker: Broker, deadline: float) -> Stretch | None:
        """As `look_after`, but only where that was not found out just now."""
        now = asyncio.get_running_loop().time()
        appended = self._coverage.appended(data_source, asked)
        if all(now - self._served.get((broker.name, data_source, each), 0.0) < _JUST for each in appended):
            return None
        return await self.look_after(data_source, asked, broker, deadline)

    async def look_after(self, data_source: str, asked: Stretch, broker: Broker, deadline: float) -> Stretch | None:
        """Return the time of a segment that the broker knows no server of; None where there is no such segment.

        Raises NoAnswer or InvalidDruidResponse.
        """
        appended = self._coverage.appended(data_source, asked)
        if not appended:
            return None
        now = asyncio.get_running_loop().time()
        span = Stretch(min(each.stretch.start for each in appended), max(each.stretch.end for each in appended))
        try:
            candidates = await broker.candidates(data_source, span, deadline)
            served = {Segment.described(each) for each in candidates if each["locations"]}
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidDruidResponse("The database gave no whole answer.") from error
        self._served = {key: at for key, at in self._served.items() if now - at < _JUST}
        self._served |= {(broker.name, data_source, each): now for each in served}
        missing = [each for each in appended if each not in served and not each.is_replaced(served)]
        return await self._coverage.lost(data_source, missing)
