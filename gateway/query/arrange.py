"""What the gateway does with Druid's rows where Druid cannot: pairing the sides of a comparison, filling, selecting.

It works on single rows. Each stage takes slices of rows and yields slices of rows. While a stage collects rows or sorts
them, it yields empty slices, so that other requests can run.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from math import inf
from operator import eq, ge, gt, le, lt
from types import MappingProxyType
from typing import Any, TypeVar

from gateway.errors import InvalidDruidResponse, LimitExceeded
from gateway.query.aggregations import MetricColumn, Number
from gateway.query.batch import Batch, Found, Values
from gateway.query.compare import join
from gateway.query.native_rows import NAN, unexpected
from gateway.query.plan import Plan
from gateway.query.report import Comparison, Order

Slices = Iterator[list[Found]]

_T = TypeVar("_T")

SLICE_VALUES = 5_000
"""How many values one slice reads or sorts: about three milliseconds of work."""

_COMPARE: Mapping[Comparison, Callable[[Number, Number], bool]] = MappingProxyType(
    {"equalTo": eq, "greaterThan": gt, "greaterThanOrEqualTo": ge, "lessThan": lt, "lessThanOrEqualTo": le}
)


def slice_size(plan: Plan) -> int:
    """Return how many rows a slice has."""
    report = plan.report
    return max(1, SLICE_VALUES // (1 + len(report.group_by) + len(report.columns) + len(report.order_by)))


def batches(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield the values in lists of this size."""
    remaining = iter(values)
    while batch := list(islice(remaining, size)):
        yield batch


def too_many_rows(plan: Plan) -> LimitExceeded:
    """Return the error for an answer with more rows than the limit."""
    return LimitExceeded(
        f"The answer has more than {plan.row_limit} rows. Group by fewer dimensions, filter more, or request a "
        "shorter interval, a coarser granularity, only the first rows (limit), or pages (limit and offset)."
    )


def arranged(plan: Plan, now: Iterator[Batch], before: Iterator[Batch] | None) -> Iterator[Batch]:
    """Return the answer's rows from those of both sides; `before` is None if there is only one."""
    report = plan.report
    is_limited = report.limit is not None or bool(report.offset)
    changed = before is not None or report.fill or report.having or report.order_by or is_limited
    if plan.is_arranged_by_druid or not changed:
        return now
    rows: Slices = map(Batch.rows, now)
    is_sorted = before is None
    if before is not None:
        rows = paired(plan, rows, map(Batch.rows, before))
    if report.fill:
        rows, is_sorted = _filled(plan, rows), True
    if report.having:
        rows = _having(plan, rows)
    if report.order_by or not is_sorted:
        rows = _sorted(plan, rows)
    if is_limited:
        rows = _limited(plan, rows)
    return map(Batch.of, rows)


def twice() -> InvalidDruidResponse:
    """Return the error for two rows of Druid that are the same group to the gateway: one would be lost."""
    return unexpected("two rows for one group")


def empty_values(columns: Iterable[MetricColumn]) -> tuple[Number | None, ...]:
    """Return the numbers over no rows."""
    return tuple(column.empty for column in columns)


def paired(plan: Plan, now: Slices, before: Slices) -> Slices:
    """Join the rows of both sides by bucket and dimensions. Rows that only one side has come last."""
    nothing = empty_values(plan.report.side_columns)
    earlier: dict[tuple[int, Values], Sequence[Number | None]] = {}
    count = 0
    for found in before:
        count += len(found)
        earlier.update(((index, tuple(dimensions)), numbers) for index, dimensions, numbers in found)
        if len(earlier) < count:
            raise twice()
        yield []
    for found in now:
        keyed = [((index, tuple(dimensions)), numbers) for index, dimensions, numbers in found]
        yield [(*key, join(numbers, earlier.pop(key, nothing))) for key, numbers in keyed]
    rest = ((index, dimensions, join(nothing, numbers)) for (index, dimensions), numbers in earlier.items())
    yield from batches(rest, slice_size(plan))


def _filled(plan: Plan, slices: Slices) -> Slices:
    """Yield a row for every group in every bucket, in the order of time and dimensions."""
    assert plan.buckets is not None  # noqa: S101 - `fill` needs a granularity
    groups: dict[Values, dict[int, Sequence[Number | None]]] = {}
    buckets = len(plan.buckets.labels)
    for found in slices:
        for index, dimensions, numbers in found:
            if groups.setdefault(tuple(dimensions), {}).setdefault(index, numbers) is not numbers:
                raise twice()
        if buckets * len(groups) > plan.row_limit:
            raise LimitExceeded(
                f"With fill, the answer has more than {plan.row_limit} rows: each of the groups has one in each of "
                f"{buckets} buckets. Use top, filter more, or request a coarser granularity or a shorter interval."
            )
        yield []
    in_order = [group for _, group in sorted((_key(group), group) for group in groups)]
    nothing = empty_values(plan.report.columns)
    rows = ((index, group, groups[group].get(index, nothing)) for index in range(buckets) for group in in_order)
    yield from batches(rows, slice_size(plan))


def _having(plan: Plan, slices: Slices) -> Slices:
    """Keep the rows that match every comparison of `having`. Null matches none."""
    position = _positions(plan)
    conditions = [(position[each.metric], _COMPARE[each.comparison], each.value) for each in plan.report.having]
    for found in slices:
        kept = found
        for index, compare, wanted in conditions:
            kept = [row for row in kept if (value := row[2][index]) is not None and compare(value, wanted)]
        yield kept


def _limited(plan: Plan, slices: Slices) -> Slices:
    # All slices are read even if the limit is reached: unexpected rows of Druid must not pass unnoticed.
    skip = plan.report.offset or 0
    left = inf if plan.report.limit is None else plan.report.limit
    for found in slices:
        kept = found[skip:]
        skip -= len(found) - len(kept)
        kept = kept if left >= len(kept) else kept[: int(left)]
        left -= len(kept)
        yield kept


def _sorted(plan: Plan, slices: Slices) -> Slices:
    """Sort each slice by itself, then merge them. While they are sorted, the yielded slices are empty."""
    columns = [_column(plan, order) for order in plan.report.order_by]
    # The bucket and the dimensions decide between equal rows, so that two rows themselves are never compared.
    # Everything is a tuple: the garbage collector stops tracking tuples of numbers, and its pauses stay short.
    runs: list[list[tuple[tuple[Any, ...], int, tuple[Any, ...], Found]]] = []
    # There are few groups for many rows: each key is made once.
    key_of = lru_cache(maxsize=None)(_key)
    for found in slices:
        runs.append(sorted((tuple(key(row) for key in columns), row[0], key_of(tuple(row[1])), row) for row in found))
        yield []
    yield from batches((row for *_, row in heapq.merge(*runs)), slice_size(plan))


def _column(plan: Plan, order: Order) -> Callable[[Found], tuple[Any, ...]]:
    """Return the function that gives the sort key of a row in one column."""
    key, name = _descending if order.descending else _ascending, order.column
    names = [dimension.name for dimension in plan.report.group_by]
    if name in plan.report.time_columns:
        # A bucket without a counterpart has no previous start.
        paired = None if plan.compared is None or plan.compared.buckets is None else len(plan.compared.buckets.labels)
        count = paired if name == plan.report.time_columns[-1] and paired is not None else inf
        return lambda row: key(row[0] if row[0] < count else None)
    if name in names:
        position = names.index(name)
        return lambda row: key(row[1][position])
    index = _positions(plan)[name]
    return lambda row: key(row[2][index])


def _positions(plan: Plan) -> Mapping[str, int]:
    return {column.name: index for index, column in enumerate(plan.report.columns)}


def _key(dimensions: Values) -> tuple[Any, ...]:
    return tuple(map(_ascending, dimensions))


def _ascending(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a value of any column
    """Return a key by which null precedes all values, and strings are in the order of their UTF-16 code units."""
    if value is None:
        return (0,)
    if value is NAN:
        return (0, 0)
    return (1, value.encode("utf-16-be", "surrogatepass") if isinstance(value, str) else value)


def _descending(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a value of any column
    if value is None:
        return (1,)
    if value is NAN:
        return (1, 0)
    if not isinstance(value, str):
        return (0, -value)
    units = memoryview(value.encode("utf-16-le", "surrogatepass")).cast("H")
    # The 1 at the end puts a string after those that begin with it.
    return (0, (*(-unit for unit in units), 1))
