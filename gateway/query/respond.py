"""From Druid's rows to the answer: columns in the request's order, and every bucket of a report without groups."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from gateway.catalog.model import Kind
from gateway.query.advice import ReportWarning
from gateway.query.aggregations import Number
from gateway.query.arrange import (
    arranged,
    batches,
    empty_values,
    slice_size,
    too_many_rows,
)
from gateway.query.batch import Batch, Found
from gateway.query.columns import Column, columns_of
from gateway.query.compile import DruidQuery
from gateway.query.literals import Json
from gateway.query.native_rows import RowReader, finite_or_null, unexpected
from gateway.query.plan import Plan
from gateway.query.report import Report
from gateway.query.time import format_moment

Row = tuple[Any, ...]
"""One row of the answer: the times, the dimensions, the metrics."""

Columns = Sequence[Sequence[Any]]
"""Some rows of the answer by column; no columns if there are no rows."""

Warnings = dict[ReportWarning, None]


@dataclass(frozen=True, slots=True)
class Result:
    """A query and Druid's rows for it."""

    query: DruidQuery
    rows: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """One piece of the work on an answer: some rows by column, without columns if there are none, and all warnings."""

    columns: Columns = ()
    warnings: tuple[ReportWarning, ...] = ()

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.columns[0]) if self.columns else 0

    @property
    def rows(self) -> Sequence[Row]:
        """The rows one by one."""
        return list(zip(*self.columns, strict=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """The columns, and the totals if requested. The rows are computed from Druid's whenever they are requested.

    `advice` has the warnings that do not depend on the rows, `freshness` what was requested of it.
    """

    columns: tuple[Column, ...]
    totals: Slice | None
    advice: tuple[ReportWarning, ...]
    freshness: Json | None
    _plan: Plan
    _results: Mapping[str, Result]

    def slices(self) -> Iterator[Slice]:
        """Yield the rows in slices of bounded work, so that other requests can run between two of them.

        Raises InvalidDruidResponse if Druid's rows are not what the query requested, and LimitExceeded: send nothing
        before the end.
        """
        warnings: Warnings = {}
        for columns in _columns(self._plan, self._results, ("report", "comparison"), warnings):
            yield Slice(columns, tuple(warnings))

    @property
    def report(self) -> Report:
        """The report that this is the answer to."""
        return self._plan.report

    @property
    def has_other(self) -> bool:
        """Whether the rows of everything that is in none of the groups of `top` were requested."""
        return "other" in self._results

    def other_slices(self) -> Iterator[Slice]:
        """Yield these rows in slices as `slices` does."""
        warnings: Warnings = {}
        times, groups = len(self._plan.report.time_columns), len(self._plan.report.group_by)
        names = ("other", "other_comparison")
        for columns in _columns(self._plan.others(), self._results, names, warnings, sparse=True):
            nothing = [[None] * len(columns[0])] * groups if columns else []
            yield Slice([*columns[:times], *nothing, *columns[times:]], tuple(warnings))

    def members(self, warnings: Mapping[ReportWarning, None]) -> Json:
        """Return what the answer has beside its columns and rows, given the warnings of all slices.

        `other` is the first member, without its rows.
        """
        found = dict.fromkeys([*self.advice, *warnings, *(() if self.totals is None else self.totals.warnings)])
        members: Json = {"other": []} if self.has_other else {}
        if self.totals is not None:
            members["totals"] = self.totals.rows[0]
        if self._plan.report.interval.relative:
            members["interval"] = self._plan.interval.to_json()
        if self.freshness is not None:
            members["freshness"] = self.freshness
        if found:
            members["warnings"] = [*found]
        return members


def respond(
    plan: Plan,
    results: Mapping[str, Result],
    advice: tuple[ReportWarning, ...] = (),
    freshness: Json | None = None,
) -> Answer:
    """Return the answer that follows from Druid's rows for the queries of compile_queries.

    Raises LimitExceeded if there are more rows than an answer may have.
    """
    report = plan.report
    if report.group_by and any(len(each.rows) > plan.row_limit for each in results.values()):
        raise too_many_rows(plan)
    totals = _totals(plan, results["totals"]) if "totals" in results else None
    return Answer(columns_of(report), totals, advice, freshness, plan, results)


def _columns(
    plan: Plan, results: Mapping[str, Result], names: tuple[str, str], warnings: Warnings, *, sparse: bool = False
) -> Iterator[Columns]:
    """Yield the rows of the answer. Without groups, they are those of every bucket, unless `sparse`."""
    read = _existing if plan.report.group_by or sparse else _every
    now, before = (results.get(name) for name in names)
    assert now is not None  # noqa: S101 - every report has its query
    other = None if before is None else read(plan.earlier(), before, warnings)
    yield from _with_times(plan, arranged(plan, read(plan, now, warnings), other))


def _with_times(plan: Plan, found: Iterator[Batch]) -> Iterator[Columns]:
    """Replace the indexes of the buckets by the times at which they start, and numbers that are not finite by null."""
    starts = [_starts(plan)]
    if plan.has_two_queries:
        starts.append(_starts(plan.earlier()))
    zone = plan.interval.zone
    # There are few buckets for many rows: each start is formatted once.
    texts: list[dict[int, str | None]] = [{} for _ in starts]
    count = 0
    for batch in found:
        count += len(batch.indexes)
        if count > plan.row_limit:
            raise too_many_rows(plan)
        for index in set(batch.indexes).difference(texts[0]):
            for known, each in zip(texts, starts, strict=True):
                known[index] = format_moment(each[index], zone) if index < len(each) else None
        times = [[known[index] for index in batch.indexes] for known in texts]
        dimensions = [
            finite_or_null(values) if dimension.kind is Kind.DOUBLE else values
            for dimension, values in zip(plan.report.group_by, batch.dimensions)  # noqa: B905 - no columns without rows
        ]
        yield [*times, *dimensions, *batch.numbers] if batch.indexes else ()


def _starts(plan: Plan) -> Sequence[int]:
    return (plan.interval.start,) if plan.buckets is None else plan.buckets.starts


def _existing(plan: Plan, result: Result, warnings: Warnings) -> Iterator[Batch]:
    """Yield Druid's rows."""
    indexes: dict[object, int] | None = None
    if plan.buckets is not None:
        indexes = {label: index for index, label in enumerate(plan.buckets.labels)}
    for labels, dimensions, numbers in RowReader(plan, result.query, warnings).slices(result.rows, slice_size(plan)):
        if indexes is None:
            yield Batch([0] * len(labels), dimensions, numbers)
        elif {*map(type, labels)} == {int} and indexes.keys() >= set(labels):
            yield Batch([indexes[label] for label in labels], dimensions, numbers)
        else:
            raise unexpected("a bucket that is not in the interval")


def _every(plan: Plan, result: Result, warnings: Warnings) -> Iterator[Batch]:
    """Yield a row for each bucket of the interval, in order. Druid omits empty ones."""
    reader, size = RowReader(plan, result.query, warnings), slice_size(plan)
    if plan.buckets is None:
        yield Batch.of([(0, (), _only(plan, reader, result.rows))])
    elif len(result.rows) < len(plan.buckets.labels):
        yield from map(Batch.of, batches(_with_empty_buckets(plan.buckets.labels, reader, result.rows, size), size))
    else:
        count = 0
        for labels, _, numbers in reader.slices(result.rows, size):
            if tuple(labels) != plan.buckets.labels[count : count + size]:
                raise unexpected("a bucket that is not in the interval")
            yield Batch(range(count, count + len(labels)), (), numbers)
            count += size


def _with_empty_buckets(labels: Sequence[int], reader: RowReader, rows: Sequence[Any], size: int) -> Iterator[Found]:
    nothing = empty_values(reader.plan.native_columns)
    read = (zip(found, zip(*numbers, strict=True), strict=True) for found, _, numbers in reader.slices(rows, size))
    not_empty = chain.from_iterable(read)
    following = next(not_empty, None)
    for index, label in enumerate(labels):
        if following is not None and following[0] == label:
            yield index, (), following[1]
            following = next(not_empty, None)
        else:
            yield index, (), nothing
    if following is not None:
        raise unexpected("a bucket that is not in the interval")


def _only(plan: Plan, reader: RowReader, rows: Sequence[Any]) -> Sequence[Number | None]:
    """Return the metrics of granularity `all`. Druid labels its row with the time of the first row, or omits it."""
    if len(rows) > 1:
        raise unexpected("more than one row for one bucket")
    _, _, numbers = reader.read(rows)
    return [values[0] for values in numbers] if rows else empty_values(plan.native_columns)


def _totals(plan: Plan, result: Result) -> Slice:
    warnings: Warnings = {}
    whole = plan.whole()
    values = _only(whole, RowReader(whole, result.query, warnings), result.rows)
    intervals = [plan.interval, *([] if plan.compared is None else [plan.compared.interval])]
    times = [format_moment(each.start, each.zone) for each in intervals][: len(plan.report.time_columns)]
    return Slice([[value] for value in (*times, *(None for _ in plan.report.group_by), *values)], tuple(warnings))
