"""Until when the numbers of an answer are final."""

from collections.abc import Iterable, Iterator, Sequence

from gateway.query.buckets import Granularity, buckets
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.query.time import Interval, format_moment

Ends = tuple[int, int]
"""The start and the end of some time, in milliseconds."""


def freshness(plan: Plan, now: int, unpublished: Iterable[Ends]) -> Json:
    """Return until when the answer is complete, and the buckets whose numbers may still change.

    A bucket is partial if it, or the one that it is compared with, ends after `now`, or overlaps time whose rows a
    stream has not published yet.
    """
    interval, open_times = plan.interval, list(unpublished)
    partial = set(_partial(plan, plan.whole_end, now, open_times))
    if plan.compared is not None:
        partial.update(_partial(plan.earlier(), plan.compared.interval.end, now, open_times))
    overlapping = [since for since, until in open_times if since < interval.end and interval.start < until]
    # Where ingestion rounds times down, rows of now have the time at which the current step began.
    reached = now if plan.dataset.rows is None else now - now % plan.dataset.rows.step
    complete_until = max(interval.start, min(interval.end, reached, *overlapping))
    return {
        "complete_until": format_moment(complete_until, interval.zone),
        "partial": [
            format_moment(start, interval.zone) for index, start in enumerate(_starts(plan)) if index in partial
        ],
    }


def _starts(plan: Plan) -> Sequence[int]:
    return (plan.interval.start,) if plan.buckets is None else plan.buckets.starts


def _partial(plan: Plan, whole_end: int, now: int, open_times: Sequence[Ends]) -> Iterator[int]:
    """Yield the index of each bucket that is not over, or overlaps the open times."""
    starts = _starts(plan)
    ends = (*starts[1:], _end(plan, starts[-1], whole_end)) if starts else ()
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if end > now or any(start < until and since < end for since, until in open_times):
            yield index


def _end(plan: Plan, last: int, whole_end: int) -> int:
    """Return the end of the last bucket, which may be after that of the interval."""
    granularity: Granularity | None = plan.report.granularity
    if granularity is None:
        return whole_end
    return buckets(Interval(last, last + 2 * granularity.longest, plan.interval.zone), granularity).starts[1]
