"""What is known of rows that only streaming tasks have, from one check to the next. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gateway.druid.segments import Segment

_PRESUMED_DELETED_AFTER = 3600.0
"""Seconds without a change after which missing rows are presumed deleted."""
_CHECKS = 2
"""Complete checks in a row after which rows count as back: queries may have seen more rows than the checks had."""
_CHECKS_OF_REPLICAS = 20
"""The same if several tasks have a segment: it is unknown which of them Druid asks."""
_REPLICA_LAG = 10.0
"""Seconds that one replica may be behind another."""


@dataclass(frozen=True, slots=True)
class RealtimeRows:
    """What is known of a segment that tasks have and no historical does: its number of rows never decreases.

    `found` is the number of rows in the last check, `changed_at` the time of the last check that found another number
    or all; `rows` the highest number so far, of which `settled` are so old that each replica must have them, and those
    that were there at `settles_at` will be. After rows were missing, `checks_left` complete checks remain until they
    count as back, which they do since `back_at`. Times are the event loop's.
    """

    found: int
    changed_at: float
    rows: int
    settled: int
    settling: int
    settles_at: float
    checks_left: int = 0
    back_at: float = float("-inf")

    @classmethod
    def first(cls, found: int, at: float) -> Self:
        """Return what is known after the first check."""
        return cls(found, at, rows=found, settled=0, settling=found, settles_at=at)

    @property
    def is_missing_rows(self) -> bool:
        """Whether rows are missing, or were a moment ago."""
        return self.checks_left > 0

    def after(self, found: int, at: float, replicas: int) -> Self:
        """Return what is known after another check."""
        least, most_checks = (self.settled, _CHECKS_OF_REPLICAS) if replicas > 1 else (self.rows, _CHECKS)
        is_complete = found >= least
        checks_left = max(0, self.checks_left - 1) if is_complete else most_checks
        settles = at - self.settles_at > _REPLICA_LAG
        return type(self)(
            found,
            changed_at=at if is_complete or found != self.found else self.changed_at,
            rows=max(self.rows, found),
            settled=self.settling if settles else self.settled,
            settling=self.rows if settles else self.settling,
            settles_at=at if settles else self.settles_at,
            checks_left=checks_left,
            back_at=at if self.checks_left and not checks_left else self.back_at,
        )


def after_check(
    known: Mapping[Segment, RealtimeRows], served: Mapping[Segment, int], rows: Mapping[Segment, int], at: float
) -> dict[Segment, RealtimeRows]:
    """Return what is known after a check.

    `served` are the segments of the time that was checked, each with the number of tasks that have it: 0 if a
    historical has it. `rows` are the numbers of rows of those that only tasks have.
    """
    after = {
        segment: before.after(rows.get(segment, 0), at, served.get(segment, 0))
        for segment, before in known.items()
        if (served[segment] > 0 if segment in served else not segment.is_replaced(served))
    }
    new = {segment: RealtimeRows.first(rows[segment], at) for segment in rows.keys() - known.keys()}
    return {segment: each for segment, each in (after | new).items() if at - each.changed_at <= _PRESUMED_DELETED_AFTER}
