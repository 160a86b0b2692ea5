"""Reading Druid's rows: where each value is, and what it means."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any, Self
from zoneinfo import ZoneInfo

from gateway.catalog.model import Kind
from gateway.errors import DataUnavailable, InvalidDruidResponse
from gateway.query.aggregations import Metric, Number, Uniques
from gateway.query.compile import ROWS_WITHOUT_METRIC, DruidQuery
from gateway.query.plan import Plan
from gateway.query.time import format_moment
from gateway.query.validation_errors import pointer
from gateway.query.zones import EPOCH

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
"""How Druid writes numbers that JSON does not have."""

_UNIQUE_METRICS_MISSING = (
    "Part of the data has no metrics for unique values, so hyperUnique cannot count them there. Request other "
    "aggregations, or an interval with complete data."
)


@dataclass(frozen=True, slots=True)
class ReportWarning:
    """What the caller must know about a correct answer. `pointer` is the JSON Pointer in the request to its cause."""

    code: str
    message: str
    pointer: str


@dataclass(frozen=True, slots=True)
class NativeRow:
    """A row of Druid: its label, if any; dimensions and metrics in the report's order; any other column, or None."""

    label: object
    dimensions: Sequence[Any]
    metrics: Sequence[Any]
    other: Callable[[str], object]


def unexpected(what: str) -> InvalidDruidResponse:
    """Return the error for rows that the query did not request."""
    return InvalidDruidResponse(f"The database answered with {what}.")


def read_time_range(rows: Sequence[Any]) -> tuple[str, str] | None:
    """Return the times of the first and last row, in UTC, from the rows of compile_time_range; None without rows."""
    try:
        found = rows[0]["result"] if rows else {"rows": 0}
        if not found["rows"]:
            return None
        first, last = (format_moment(found[end], ZoneInfo("UTC")) for end in ("first", "last"))
    except (KeyError, TypeError, OverflowError) as error:
        raise unexpected("rows of another shape") from error
    return first, last


def read_timeseries(plan: Plan, rows: Sequence[Any]) -> Iterator[NativeRow]:
    """Yield the rows of a timeseries, which are objects."""
    names = [metric.name for metric in plan.report.metrics]
    for row in rows:
        try:
            label = (datetime.fromisoformat(row["timestamp"]) - EPOCH) // timedelta(milliseconds=1)
            result = row["result"]
            metrics = [result[name] for name in names]
        except (KeyError, TypeError, ValueError) as error:
            raise unexpected("rows of another shape") from error
        yield NativeRow(label, (), metrics, result.get)


def read_group_by(plan: Plan, query: DruidQuery, rows: Sequence[Any]) -> Iterator[NativeRow]:
    """Yield the rows of a groupBy, which are arrays."""
    position = {name: index for index, name in enumerate(query.columns)}
    dimensions = _getter([position[dimension.name] for dimension in plan.report.group_by])
    metrics = _getter([position[metric.name] for metric in plan.report.metrics])
    width = len(query.columns)
    for row in rows:
        if not isinstance(row, list) or len(row) != width:
            raise unexpected("rows of another shape")
        label = None if plan.buckets is None else row[0]
        yield NativeRow(label, dimensions(row), metrics(row), partial(_other, position, row))


def _other(position: Mapping[str, int], row: Sequence[Any], name: str) -> object:
    return row[position[name]] if name in position else None


def _getter(positions: list[int]) -> Callable[[list[Any]], Sequence[Any]]:
    # itemgetter returns a tuple only for two positions or more.
    return itemgetter(*positions) if len(positions) > 1 else lambda row: [row[each] for each in positions]


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads the values of native rows for one answer, and adds to its `warnings`."""

    plan: Plan
    warnings: dict[ReportWarning, None]
    _doubles: tuple[int, ...]

    @classmethod
    def of(cls, plan: Plan, warnings: dict[ReportWarning, None]) -> Self:
        """Return a reader for the rows of the plan's report."""
        doubles = (n for n, dimension in enumerate(plan.report.group_by) if dimension.kind is Kind.DOUBLE)
        return cls(plan, warnings, tuple(doubles))

    def dimensions(self, row: NativeRow) -> Sequence[Any]:
        """Return the values of the dimensions; null for numbers that are not finite."""
        values = row.dimensions
        for index in self._doubles:
            if values[index] in _NOT_FINITE:
                self._warn(self.plan.report.group_by[index].name, pointer("group_by", index))
                values = [*values[:index], None, *values[index + 1 :]]
        return values

    def metrics(self, row: NativeRow) -> Sequence[Number | None]:
        """Return the values of the metrics; null for numbers that are not finite.

        Raises DataUnavailable if a number is too small because the data lacks a metric.
        """
        if self.plan.uniques is Uniques.METRIC and row.other(ROWS_WITHOUT_METRIC):
            raise DataUnavailable(_UNIQUE_METRICS_MISSING)
        metrics = self.plan.report.metrics
        return tuple(self._number(metric, value, row) for metric, value in zip(metrics, row.metrics, strict=True))

    def _number(self, metric: Metric, value: object, row: NativeRow) -> Number | None:
        aggregation = metric.aggregation
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value) if aggregation.result == "float" else int(value)
        raw = row.other(f"{aggregation.sum_prefix}{metric.name}") if aggregation.sum_prefix else value
        if value in _NOT_FINITE or (value is None and raw in _NOT_FINITE):
            self._warn(metric.name, metric.pointer)
            return None
        if value is None:
            return aggregation.empty
        raise unexpected(f"something other than a number for {metric.name}")

    def _warn(self, column: str, cause: str) -> None:
        message = f"{column} is null in at least one row because the data or its sum is not a finite number"
        self.warnings[ReportWarning("not_finite", message, cause)] = None
