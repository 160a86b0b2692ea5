"""Reading Druid's rows: where each value is, and what it means."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from typing import Any, Self
from zoneinfo import ZoneInfo

from gateway.catalog.model import Kind
from gateway.errors import DataUnavailable, InvalidDruidResponse
from gateway.query.advice import ReportWarning
from gateway.query.aggregations import MetricColumn, Number, Uniques
from gateway.query.compile import DruidQuery
from gateway.query.native_metrics import ROWS_WITHOUT_METRIC
from gateway.query.plan import Plan
from gateway.query.time import format_moment
from gateway.query.validation_errors import pointer
from gateway.query.zones import EPOCH

Values = Sequence[Any]

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
"""How Druid writes numbers that JSON does not have."""

_NUMBERS = (int, float)

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


NativeRow = tuple[object, Any]
"""A row of Druid: its label, and the object or array with its values."""


def timeseries_rows(rows: Iterable[Any]) -> Iterator[NativeRow]:
    """Yield the label and the result of each row of a timeseries."""
    for row in rows:
        try:
            yield _moment_of(row["timestamp"]), row["result"]
        except (KeyError, TypeError, ValueError) as error:
            raise unexpected("rows of another shape") from error


# Reports on the same days have the same buckets.
@lru_cache(maxsize=16_384)
def _moment_of(timestamp: str) -> int:
    return (datetime.fromisoformat(timestamp) - EPOCH) // timedelta(milliseconds=1)


def group_by_rows(query: DruidQuery, rows: Iterable[Any]) -> Iterator[NativeRow]:
    """Yield the first value, which is the label if the query has one, and the array of each row of a groupBy."""
    width = len(query.columns)
    for row in rows:
        if not isinstance(row, list) or len(row) != width:
            raise unexpected("rows of another shape")
        yield row[0], row


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads the values of Druid's rows for one answer, and adds to its `warnings`.

    `keys` are the keys or positions of the columns in a row, by name.
    """

    plan: Plan
    keys: Mapping[str, Any]
    warnings: dict[ReportWarning, None]
    _columns: tuple[MetricColumn, ...]
    _dimensions: Callable[[Any], Values]
    _metrics: Callable[[Any], Values]
    _doubles: tuple[int, ...]
    _types: tuple[type, ...]

    @classmethod
    def of_timeseries(cls, plan: Plan, warnings: dict[ReportWarning, None]) -> Self:
        """Return a reader for the results of a timeseries."""
        columns = plan.native_columns
        metrics = [column.name for column in columns]
        names = [*metrics, *(column.raw for column in columns), ROWS_WITHOUT_METRIC]
        keys = dict(zip(names, names, strict=True))
        return cls(plan, keys, warnings, columns, _getter([]), _getter(metrics), (), _types(columns))

    @classmethod
    def of_group_by(cls, plan: Plan, query: DruidQuery, warnings: dict[ReportWarning, None]) -> Self:
        """Return a reader for the arrays of a groupBy."""
        position = {name: index for index, name in enumerate(query.columns)}
        groups = plan.report.group_by
        dimensions = _getter([position[dimension.name] for dimension in groups])
        columns = plan.native_columns
        metrics = _getter([position[column.name] for column in columns])
        doubles = tuple(index for index, dimension in enumerate(groups) if dimension.kind is Kind.DOUBLE)
        return cls(plan, position, warnings, columns, dimensions, metrics, doubles, _types(columns))

    def dimensions(self, values: Any) -> Values:  # noqa: ANN401 - an object or an array
        """Return the values of the dimensions; null for numbers that are not finite."""
        found = self._dimensions(values)
        for index in self._doubles:
            if found[index] in _NOT_FINITE:
                self._warn(self.plan.report.group_by[index].name, pointer("group_by", index))
                found = [*found[:index], None, *found[index + 1 :]]
        return found

    def metrics(self, values: Any) -> tuple[Number | None, ...]:  # noqa: ANN401 - an object or an array
        """Return the values of the metrics; null for numbers that are not finite.

        Raises DataUnavailable if a number is too small because the data lacks a metric.
        """
        try:
            found = self._metrics(values)
        except (KeyError, TypeError) as error:
            raise unexpected("rows of another shape") from error
        if self.plan.uniques is Uniques.METRIC and self._other(values, ROWS_WITHOUT_METRIC):
            raise DataUnavailable(_UNIQUE_METRICS_MISSING)
        # The usual case: every value has the type of its column already.
        if tuple(map(type, found)) == self._types:
            return tuple(found)
        return tuple(map(self._number, self._columns, found, repeat(values)))

    def _number(self, column: MetricColumn, value: object, values: Any) -> Number | None:  # noqa: ANN401
        if isinstance(value, _NUMBERS) and not isinstance(value, bool):
            return float(value) if column.result == "float" else int(value)
        if value in _NOT_FINITE or (value is None and self._other(values, column.raw) in _NOT_FINITE):
            self._warn(column.name, column.pointer)
            return None
        if value is None:
            return column.null
        raise unexpected(f"something other than a number for {column.name}")

    def _other(self, values: Any, name: str) -> object:  # noqa: ANN401
        """Return the value of any column; None if the row does not have it."""
        try:
            return values[self.keys[name]]
        except KeyError:
            return None

    def _warn(self, column: str, cause: str) -> None:
        message = f"{column} is null in at least one row because the data or its sum is not a finite number"
        self.warnings[ReportWarning("not_finite", message, cause)] = None


def _types(columns: Iterable[MetricColumn]) -> tuple[type, ...]:
    return tuple(float if column.result == "float" else int for column in columns)


def _getter(keys: Sequence[Any]) -> Callable[[Any], Values]:
    # itemgetter returns a tuple only for two keys or more.
    return itemgetter(*keys) if len(keys) > 1 else lambda values: [values[each] for each in keys]
