"""From Druid's rows to the answer: columns in the request's order, and every bucket of a report without groups."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import inf
from operator import eq, ge, gt, le, lt
from types import MappingProxyType
from typing import Any, TypeVar

from gateway.catalog.model import Dimension
from gateway.errors import LimitExceeded
from gateway.query.aggregations import Number
from gateway.query.columns import Column, columns_of
from gateway.query.compile import DruidQuery
from gateway.query.default_filters import default_warning
from gateway.query.literals import Json
from gateway.query.native_rows import NativeRow, ReportWarning, RowReader, group_by_rows, timeseries_rows, unexpected
from gateway.query.plan import Plan
from gateway.query.report import START_TIME, Comparison, Order
from gateway.query.time import format_moment

Row = tuple[Any, ...]
"""One row of the answer: start_time, the dimensions, the metrics."""

Bucket = tuple[int, Sequence[Number | None]]
"""The start of a bucket in a report without groups, and its metrics."""

_T = TypeVar("_T")

SLICE_VALUES = 5_000
"""How many values one slice reads or sorts: about three milliseconds of work."""

_COMPARE: Mapping[Comparison, Callable[[Number, Number], bool]] = MappingProxyType(
    {"equalTo": eq, "greaterThan": gt, "greaterThanOrEqualTo": ge, "lessThan": lt, "lessThanOrEqualTo": le}
)


@dataclass(frozen=True, slots=True)
class Slice:
    """One piece of the work on an answer: its rows, which may be none, and all warnings so far."""

    rows: Sequence[Row]
    warnings: tuple[ReportWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The columns, and the totals if requested. The rows are computed from Druid's whenever they are requested."""

    columns: tuple[Column, ...]
    totals: Slice | None
    _plan: Plan
    _query: DruidQuery
    _native: Sequence[Any]

    def slices(self) -> Iterator[Slice]:
        """Yield the rows in slices of bounded work, so that other requests can run between two of them.

        Raises InvalidDruidResponse if Druid's rows are not what the query requested: send nothing before the end.
        """
        warnings: dict[ReportWarning, None] = {}
        make = _with_groups if self._plan.report.group_by else _without_groups
        for rows in make(self._plan, self._query, self._native, warnings):
            yield Slice(rows, tuple(warnings))

    def members(self, warnings: Mapping[ReportWarning, None]) -> Json:
        """Return what the answer has beside its columns and rows, given the warnings of all slices."""
        members: Json = {}
        if self.totals is not None:
            members["totals"] = self.totals.rows[0]
            warnings = {**warnings, **dict.fromkeys(self.totals.warnings)}
        found = {**dict.fromkeys(map(_default_filter, self._plan.report.defaults)), **warnings}
        return {**members, "warnings": [*found]} if found else members


def _default_filter(dimension: Dimension) -> ReportWarning:
    return ReportWarning("default_filter", default_warning(dimension), "/filters")


def respond(plan: Plan, query: DruidQuery, rows: Sequence[Any], totals: Sequence[Any] | None = None) -> Answer:
    """Return the answer that follows from Druid's rows for the query, and for the totals.

    Raises LimitExceeded if there are more rows than an answer may have.
    """
    report = plan.report
    if report.group_by and len(rows) > plan.row_limit:
        raise LimitExceeded(
            f"The answer has more than {plan.row_limit} rows. Group by fewer dimensions, filter more, or request a "
            "shorter interval, a coarser granularity or only the first rows (limit)."
        )
    return Answer(columns_of(report), None if totals is None else _totals(plan, totals), plan, query, rows)


def _slice_size(plan: Plan) -> int:
    report = plan.report
    return max(1, SLICE_VALUES // (1 + len(report.group_by) + len(report.metrics) + len(report.order_by)))


def _batches(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    remaining = iter(values)
    while batch := list(islice(remaining, size)):
        yield batch


def _with_groups(
    plan: Plan, query: DruidQuery, rows: Sequence[Any], warnings: dict[ReportWarning, None]
) -> Iterator[list[Row]]:
    zone, first = plan.report.interval.zone, plan.report.interval.start
    # There are few buckets for many rows: each start is formatted once.
    start_time = lru_cache(lambda start: format_moment(start, zone))
    starts = {} if plan.buckets is None else dict(zip(plan.buckets.labels, plan.buckets.starts, strict=True))
    reader = RowReader.of_group_by(plan, query, warnings)
    for batch in _batches(group_by_rows(query, rows), _slice_size(plan)):
        yield [
            (
                start_time(first if plan.buckets is None else _start(starts, label)),
                *reader.dimensions(values),
                *reader.metrics(values),
            )
            for label, values in batch
        ]


def _start(starts: Mapping[int, int], label: object) -> int:
    if not isinstance(label, int) or label not in starts:
        raise unexpected("a bucket that is not in the interval")
    return starts[label]


def _without_groups(
    plan: Plan, query: DruidQuery, rows: Sequence[Any], warnings: dict[ReportWarning, None]
) -> Iterator[list[Row]]:
    report = plan.report
    if plan.groups:
        native, reader = group_by_rows(query, rows), RowReader.of_group_by(plan, query, warnings)
    else:
        native, reader = timeseries_rows(rows), RowReader.of_timeseries(plan, warnings)
    size = _slice_size(plan)
    slices = (_having(plan, batch) for batch in _batches(_every_bucket(plan, native, reader), size))
    left = inf if report.limit is None else report.limit
    # All slices are read even if the limit is reached: unexpected rows of Druid must not pass unnoticed.
    for found in _sort(plan, slices, size) if report.order_by else slices:
        kept = found if left >= len(found) else found[: int(left)]
        left -= len(kept)
        yield [(format_moment(start, report.interval.zone), *values) for start, values in kept]


def _every_bucket(plan: Plan, rows: Iterator[NativeRow], reader: RowReader) -> Iterator[Bucket]:
    """Yield every bucket of the interval in order. Druid omits empty ones."""
    if plan.buckets is None:
        yield plan.report.interval.start, _only(plan, rows, reader)
        return
    following = next(rows, None)
    for label, start in zip(plan.buckets.labels, plan.buckets.starts, strict=True):
        if following is not None and following[0] == label:
            yield start, reader.metrics(following[1])
            following = next(rows, None)
        else:
            yield start, _empty(plan)
    if following is not None:
        raise unexpected("a bucket that is not in the interval")


def _only(plan: Plan, rows: Iterator[NativeRow], reader: RowReader) -> Sequence[Number | None]:
    """Return the metrics of granularity `all`. Druid labels its row with the time of the first row, or omits it."""
    found = list(islice(rows, 2))
    if len(found) > 1:
        raise unexpected("more than one row for one bucket")
    return reader.metrics(found[0][1]) if found else _empty(plan)


def _empty(plan: Plan) -> Sequence[Number | None]:
    return tuple(metric.aggregation.empty for metric in plan.report.metrics)


def _totals(plan: Plan, rows: Sequence[Any]) -> Slice:
    warnings: dict[ReportWarning, None] = {}
    values = _only(plan, timeseries_rows(rows), RowReader.of_timeseries(plan, warnings))
    start_time = format_moment(plan.report.interval.start, plan.report.interval.zone)
    return Slice([(start_time, *(None for _ in plan.report.group_by), *values)], tuple(warnings))


def _having(plan: Plan, found: list[Bucket]) -> list[Bucket]:
    """Return the buckets that match every comparison of `having`. Null matches none."""
    position = {metric.name: index for index, metric in enumerate(plan.report.metrics)}
    for having in plan.report.having:
        index, compare = position[having.metric], _COMPARE[having.comparison]
        found = [each for each in found if (value := each[1][index]) is not None and compare(value, having.value)]
    return found


def _sort(plan: Plan, slices: Iterator[list[Bucket]], size: int) -> Iterator[list[Bucket]]:
    """Sort each slice by itself, then merge them. While they are sorted, the yielded slices are empty."""
    position = {metric.name: index for index, metric in enumerate(plan.report.metrics)}

    def value(bucket: Bucket, order: Order) -> Number:
        found = bucket[0] if order.column == START_TIME else bucket[1][position[order.column]]
        # Null precedes every number. No number of an answer is infinite.
        number = -inf if found is None else found
        return -number if order.descending else number

    # The start decides between equal buckets, so that two buckets themselves are never compared. Everything is a tuple:
    # the garbage collector stops tracking tuples of numbers, and its pauses stay short.
    runs: list[list[tuple[tuple[Number, ...], int, Bucket]]] = []
    for found in slices:
        keyed = [(tuple(value(bucket, order) for order in plan.report.order_by), bucket[0], bucket) for bucket in found]
        runs.append(sorted(keyed))
        yield []
    yield from _batches((bucket for _, _, bucket in heapq.merge(*runs)), size)
