"""Reading Druid's rows: where each value is, and what it means."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from gateway.catalog.model import Kind
from gateway.errors import DataUnavailable, InvalidDruidResponse
from gateway.query.advice import ReportWarning
from gateway.query.aggregations import MetricColumn, Number, Uniques
from gateway.query.compile import DruidQuery
from gateway.query.native_metrics import ROWS_WITHOUT_METRIC
from gateway.query.plan import Plan
from gateway.query.report import Report, once_per_report
from gateway.query.time import format_moment
from gateway.query.validation_errors import pointer
from gateway.query.zones import EPOCH

Values = Sequence[Any]

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
"""How Druid writes numbers that JSON does not have."""

_NUMBERS = frozenset({int, float})

_UNIQUE_METRICS_MISSING = (
    "Part of the data has no metrics for unique values, so hyperUnique cannot count them there. Request other "
    "aggregations, or an interval with complete data."
)


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


# Reports on the same days have the same buckets.
@lru_cache(maxsize=16_384)
def _moment_of(timestamp: str) -> int:
    return (datetime.fromisoformat(timestamp) - EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the values of a row are: `keys` are the keys or positions of the columns in it, by name.

    `doubles` are the positions of the dimensions whose numbers may not be finite.
    """

    columns: tuple[MetricColumn, ...]
    keys: Mapping[str, Any]
    dimensions: Callable[[Any], Values]
    numbers: Callable[[Any], Values]
    doubles: tuple[int, ...]


Rows = tuple[Sequence[object], Sequence[Values], Sequence[Values]]
"""Some rows of Druid: their labels, the values of their dimensions, their numbers."""


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads Druid's rows for one query of a plan, and adds to its `warnings`."""

    plan: Plan
    query: DruidQuery
    warnings: dict[ReportWarning, None]

    def slices(self, rows: Sequence[Any], size: int) -> Iterator[Rows]:
        """Yield what the rows contain, `size` rows at a time. Raises as `read`."""
        for start in range(0, len(rows), size):
            yield self.read(rows[start : start + size])

    def read(self, rows: Sequence[Any]) -> Rows:
        """Return what the rows contain; null for numbers that are not finite.

        The label of a groupBy's row is its first value. Raises InvalidDruidResponse for rows that the query did not
        request, and DataUnavailable if a number is too small because the data lacks a metric.
        """
        layout = _layout(self.plan.report, self.query.columns, self.plan.has_both_sides)
        try:
            labels, values = self._labelled(rows)
            dimensions, numbers = list(map(layout.dimensions, values)), list(map(layout.numbers, values))
        except (KeyError, TypeError, ValueError) as error:
            raise unexpected("rows of another shape") from error
        if layout.doubles:
            dimensions = [self._finite(layout, each) for each in dimensions]
        if self.plan.uniques is Uniques.METRIC and any(_other(layout, each, ROWS_WITHOUT_METRIC) for each in values):
            raise DataUnavailable(_UNIQUE_METRICS_MISSING)
        columns = [self._column(layout, index, found, values) for index, found in enumerate(zip(*numbers, strict=True))]
        return labels, dimensions, list(zip(*columns, strict=True))

    def _labelled(self, rows: Sequence[Any]) -> tuple[Sequence[object], Sequence[Any]]:
        if not self.plan.has_groups:
            return [_moment_of(row["timestamp"]) for row in rows], [row["result"] for row in rows]
        width = len(self.query.columns)
        if not all(isinstance(row, list) and len(row) == width for row in rows):
            raise unexpected("rows of another shape")
        return [row[0] for row in rows], rows

    def _finite(self, layout: _Layout, dimensions: Values) -> Values:
        for index in layout.doubles:
            if dimensions[index] in _NOT_FINITE:
                self._warn(self.plan.report.group_by[index].name, pointer("group_by", index))
                dimensions = (*dimensions[:index], None, *dimensions[index + 1 :])
        return dimensions

    def _column(self, layout: _Layout, index: int, found: Values, rows: Sequence[Any]) -> Sequence[Number | None]:
        column, types = layout.columns[index], {*map(type, found)}
        result = float if column.result == "float" else int
        if types == {result}:
            return found
        if types <= _NUMBERS:
            return [*map(result, found)]
        return [self._number(layout, column, *each) for each in zip(found, rows, strict=True)]

    def _number(self, layout: _Layout, column: MetricColumn, value: Any, values: Any) -> Number | None:  # noqa: ANN401
        if type(value) in _NUMBERS:
            return float(value) if column.result == "float" else int(value)
        if value in _NOT_FINITE or (value is None and _other(layout, values, column.raw) in _NOT_FINITE):
            self._warn(column.name, column.pointer)
            return None
        if value is None:
            return column.null
        raise unexpected(f"something other than a number for {column.name}")

    def _warn(self, column: str, cause: str) -> None:
        message = f"{column} is null in at least one row because the data or its sum is not a finite number"
        self.warnings[ReportWarning("not_finite", message, cause)] = None


@once_per_report
def _layout(report: Report, names: tuple[str, ...], has_both_sides: bool) -> _Layout:  # noqa: FBT001 - hashed
    """Return the layout of the arrays of a groupBy with these columns or, without any, of a timeseries' objects."""
    columns = report.columns if has_both_sides else report.side_columns
    numbers = [column.name for column in columns]
    every = [*numbers, *(column.raw for column in columns), ROWS_WITHOUT_METRIC]
    keys: Mapping[str, Any] = {name: index for index, name in enumerate(names)} or dict(zip(every, every, strict=True))
    groups = report.group_by if names else ()
    return _Layout(
        columns,
        keys,
        _getter([keys[dimension.name] for dimension in groups]),
        _getter([keys[name] for name in numbers]),
        tuple(index for index, dimension in enumerate(groups) if dimension.kind is Kind.DOUBLE),
    )


def _other(layout: _Layout, values: Any, name: str) -> object:  # noqa: ANN401 - an object or an array
    """Return the value of any column; None if the row does not have it."""
    try:
        return values[layout.keys[name]]
    except KeyError:
        return None


def _getter(keys: Sequence[Any]) -> Callable[[Any], Values]:
    """Return the function that takes the values of these keys from a row, as a tuple."""
    match keys:
        case []:
            return lambda _: ()
        case [key]:
            return lambda values: (values[key],)
        case _:
            return itemgetter(*keys)
