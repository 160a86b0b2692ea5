"""Reading Druid's rows by column: where each value is, and what it means."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import inf, isfinite, nan
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.catalog.model import Kind
from gateway.errors import DataUnavailable, InvalidDruidResponse
from gateway.query.advice import ReportWarning
from gateway.query.aggregations import MetricColumn, Number, Uniques
from gateway.query.batch import Values
from gateway.query.compile import DruidQuery
from gateway.query.native_metrics import ROWS_WITHOUT_METRIC
from gateway.query.plan import Plan
from gateway.query.report import Report, once_per_report
from gateway.query.time import format_moment
from gateway.query.validation_errors import pointer
from gateway.query.zones import moment_of

_ColumnOf = Callable[[str], Values]

NAN: Final = nan
"""The only NaN of dimensions, so that it equals itself in keys: NaN, the infinities and null are different groups."""


class _NegativeZero(float):
    """-0.0, of which Druid makes another group than of 0.0. As a key, it equals only itself."""

    __hash__ = float.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


_NEGATIVE_ZERO: Final = _NegativeZero(-0.0)
_NOT_FINITE = MappingProxyType({"NaN": NAN, "Infinity": inf, "-Infinity": -inf})
"""How Druid writes numbers that JSON does not have."""

_NUMBERS = frozenset({int, float})

_UNIQUE_METRICS_MISSING = (
    "Part of the data has no metrics for unique values, so hyperUnique cannot count them there. Request other "
    "aggregations, or an interval with complete data."
)


def unexpected(what: str) -> InvalidDruidResponse:
    """Return the error for rows that the query did not request."""
    return InvalidDruidResponse(f"The database answered with {what}.")


def is_not_finite(value: object) -> bool:
    """Whether the value of a dimension is NaN or an infinity."""
    return isinstance(value, float) and not isfinite(value)


def finite_or_null(values: Values) -> Values:
    """Return the values of a dimension of doubles as numbers, with null for those that are not finite."""
    return [None if is_not_finite(value) else -0.0 if value is _NEGATIVE_ZERO else value for value in values]


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
    return moment_of(datetime.fromisoformat(timestamp))


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns a query has, and where they are in the rows of a groupBy.

    `doubles` are the positions of the dimensions whose numbers may not be finite.
    """

    columns: tuple[MetricColumn, ...]
    positions: Mapping[str, int]
    doubles: tuple[int, ...]


Rows = tuple[Sequence[object], Sequence[Values], Sequence[Sequence[Number | None]]]
"""Some rows of Druid: their labels, and by column their dimensions and numbers."""


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
        """Return what the rows contain; null for numbers that are not finite, but not yet for those of dimensions.

        The label of a groupBy's row is its first value. Raises InvalidDruidResponse for rows that the query did not
        request, and DataUnavailable if a number is too small because the data lacks a metric.
        """
        report = self.plan.report
        layout = _layout(report, self.query.columns, self.plan.has_both_sides)
        try:
            labels, required, optional = self._by_column(layout, rows)
            dimensions = [required(dimension.name) for dimension in report.group_by]
            numbers = [required(each.name) for each in layout.columns]
            for index in layout.doubles:
                dimensions[index] = self._parsed(index, dimensions[index])
        except (KeyError, TypeError, ValueError) as error:
            raise unexpected("rows of another shape") from error
        if self.plan.uniques is Uniques.METRIC and any(optional(ROWS_WITHOUT_METRIC)):
            raise DataUnavailable(_UNIQUE_METRICS_MISSING)
        return (
            labels,
            dimensions,
            [self._numbers(*each, optional) for each in zip(layout.columns, numbers, strict=True)],
        )

    def _by_column(self, layout: _Layout, rows: Sequence[Any]) -> tuple[Sequence[object], _ColumnOf, _ColumnOf]:
        """Return the labels of the rows, and two functions that return a column by its name.

        The first one raises KeyError if a row does not have the column, the second one returns nothing or nulls.
        """
        if not self.plan.has_groups:
            results = [row["result"] for row in rows]
            labels = [_moment_of(row["timestamp"]) for row in rows]
            return (
                labels,
                lambda name: [each[name] for each in results],
                lambda name: [each.get(name) for each in results],
            )
        width = len(self.query.columns)
        # Rows of different lengths raise ValueError.
        columns = list(zip(*rows, strict=True)) or [()] * width
        if len(columns) != width or not {*map(type, rows)} <= {list}:
            raise unexpected("rows of another shape")
        positions = layout.positions
        return (
            columns[0],
            lambda name: columns[positions[name]],
            lambda name: columns[positions[name]] if name in positions else (),
        )

    def _parsed(self, index: int, values: Values) -> Values:
        """Return the values of a dimension of doubles as numbers."""
        if 0.0 in values:
            values = [_NEGATIVE_ZERO if value == 0 and str(value) == "-0.0" else value for value in values]
        if str not in {*map(type, values)}:
            return values
        self._warn(self.plan.report.group_by[index].name, pointer("group_by", index))
        return [_NOT_FINITE[value] if isinstance(value, str) else value for value in values]

    def _numbers(self, column: MetricColumn, found: Values, optional: _ColumnOf) -> Sequence[Number | None]:
        types, result = {*map(type, found)}, float if column.result == "float" else int
        if types <= {result}:
            return found
        if types <= _NUMBERS:
            return [*map(result, found)]
        raw = optional(column.raw) or [None] * len(found)
        return [self._number(column, *each) for each in zip(found, raw, strict=True)]

    def _number(self, column: MetricColumn, value: Any, raw: object) -> Number | None:  # noqa: ANN401 - parsed JSON
        if type(value) in _NUMBERS:
            return float(value) if column.result == "float" else int(value)
        if _names_not_finite(value) or (value is None and _names_not_finite(raw)):
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
    return _Layout(
        report.columns if has_both_sides else report.side_columns,
        {name: index for index, name in enumerate(names)},
        tuple(index for index, dimension in enumerate(report.group_by) if dimension.kind is Kind.DOUBLE),
    )


def _names_not_finite(value: object) -> bool:
    return isinstance(value, str) and value in _NOT_FINITE
