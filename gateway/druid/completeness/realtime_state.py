"""What is known of rows that only streaming tasks hold, from one look at them to the next. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gateway.druid.stretches import Segment

_GIVEN_UP_AFTER = 3600.0
"""Seconds without a change until rows that are missing are missed no more: somebody has thrown them away."""
_DOUBTS = 2
"""Looks in a row that must find everything until rows are back: queries may have seen more than the looks had."""
_DOUBTS_OF_REPLICAS = 20
"""The same where several tasks have a segment: nobody knows which of them Druid asks."""
_REPLICAS_LAG = 10.0
"""Seconds that one of them may be behind another."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a segment that tasks have and no historical: never fewer rows again than there were.

    `found` are the rows of the last look, `changed_at` when the last look was that found others or all; `rows` the most
    that there were, of which `settled` are so old that each replica must have them, and those that were there at
    `settles_at` will be. After rows were missing, `doubts` are left until so many looks have found them all; they are
    back since `back_at`. Moments are the event loop's.
    """

    found: int
    changed_at: float
    rows: int
    settled: int
    settling: int
    settles_at: float
    doubts: int = 0
    back_at: float = float("-inf")

    @classmethod
    def first(cls, found: int, at: float) -> Self:
        """Return what is known after the first look."""
        return cls(found, at, rows=found, settled=0, settling=found, settles_at=at)

    @property
    def lacks(self) -> bool:
        """Whether rows are missing, or were a moment ago."""
        return self.doubts > 0

    def after(self, found: int, at: float, replicas: int) -> Self:
        """Return what is known after another look."""
        least, most_doubts = (self.settled, _DOUBTS_OF_REPLICAS) if replicas > 1 else (self.rows, _DOUBTS)
        is_whole = found >= least
        doubts = max(0, self.doubts - 1) if is_whole else most_doubts
        settles = at - self.settles_at > _REPLICAS_LAG
        return type(self)(
            found,
            changed_at=at if is_whole or found != self.found else self.changed_at,
            rows=max(self.rows, found),
            settled=self.settling if settles else self.settled,
            settling=self.rows if settles else self.settling,
            settles_at=at if settles else self.settles_at,
            doubts=doubts,
            back_at=at if self.doubts and not doubts else self.back_at,
        )


def look(
    held: Mapping[Segment, Held], served: Mapping[Segment, int], rows: Mapping[Segment, int], at: float
) -> dict[Segment, Held]:
    """Return what is held after a look.

    `served` are the segments that there are at the time of those held, each with the number of tasks that have it: 0
    where a historical has. `rows` are what those that only tasks have were found to hold.
    """
    after = {
        segment: before.after(rows.get(segment, 0), at, served.get(segment, 0))
        for segment, before in held.items()
        if (served[segment] > 0 if segment in served else not segment.is_replaced(served))
    }
    new = {segment: Held.first(rows[segment], at) for segment in rows.keys() - held.keys()}
    return {segment: each for segment, each in (after | new).items() if at - each.changed_at <= _GIVEN_UP_AFTER}
