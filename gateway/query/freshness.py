"""Until when the numbers of an answer are final."""

from collections.abc import Iterable

from gateway.query.buckets import Granularity, buckets
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.query.time import Interval, format_moment

Ends = tuple[int, int]
"""The start and the end of some time, in milliseconds."""


def freshness(plan: Plan, now: int, unpublished: Iterable[Ends]) -> Json:
    """Return until when the answer is complete, and the buckets whose numbers may still change.

    A bucket is partial if it ends after `now`, or overlaps time whose rows a stream has not published yet.
    """
    interval, open_times = plan.interval, list(unpublished)
    starts = (interval.start,) if plan.buckets is None else plan.buckets.starts
    ends = (*starts[1:], _end(plan, starts[-1])) if starts else ()
    partial = [
        start
        for start, end in zip(starts, ends, strict=True)
        if end > now or any(start < until and since < end for since, until in open_times)
    ]
    overlapping = [since for since, until in open_times if since < interval.end and interval.start < until]
    complete_until = max(interval.start, min(interval.end, now, *overlapping))
    return {
        "complete_until": format_moment(complete_until, interval.zone),
        "partial": [format_moment(start, interval.zone) for start in partial],
    }


def _end(plan: Plan, last: int) -> int:
    """Return the end of the last bucket, which may be after that of the interval."""
    granularity: Granularity | None = plan.report.granularity
    if granularity is None:
        return plan.whole_end
    return buckets(Interval(last, last + 2 * granularity.longest, plan.interval.zone), granularity).starts[1]
