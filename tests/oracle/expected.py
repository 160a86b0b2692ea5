"""What a report should answer, and how its rows are chosen and ordered."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key
from typing import Any, Final

Value = str | int | float | None
Row = tuple[Value, ...]

COMPARISONS: Final = {
    "equalTo": operator.eq,
    "greaterThan": operator.gt,
    "greaterThanOrEqualTo": operator.ge,
    "lessThan": operator.lt,
    "lessThanOrEqualTo": operator.le,
}


class Ranked(float):
    """A quantile that knows the sorted values of which it is one."""

    values: Sequence[float] = ()
    fraction: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float], fraction: float) -> "Ranked | None":
        if not values:
            return None
        found = cls(values[min(len(values) - 1, int(fraction * len(values)))])
        found.values, found.fraction = values, fraction
        return found

    def accepts(self, other: float) -> bool:
        """Whether the other number is one of the values, with a rank that is wrong by 1 % at most."""
        count = len(self.values)
        below = sum(each < other for each in self.values) / count
        up_to = sum(each <= other for each in self.values) / count
        return other in self.values and below - 0.01 <= self.fraction + 1e-9 and up_to + 0.01 >= self.fraction - 1e-9


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of numbers. `integer`: whether the field has integers only.

    `formula` computes a column from the others of its row; `reads` are the columns that it reads.
    """

    name: str
    kind: str
    field: str | None = None
    filter: Mapping[str, Any] | None = None
    integer: bool = False
    fraction: float = 0.0
    formula: "Callable[[Mapping[str, Value]], Value] | None" = None
    is_exact_formula: bool = False

    @property
    def exact(self) -> bool:
        """Whether nothing is rounded, so that equal is equal."""
        if self.formula is not None:
            return self.is_exact_formula
        return self.kind in ("count", "min", "max") or (self.kind == "sum" and self.integer)

    @property
    def of_nothing(self) -> Value:
        return {"count": 0, "sum": 0.0, "hyperUnique": 0.0}.get(self.kind)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a report should answer; `candidates`: the rows in order of time and groups, before having and limit.

    `times` are the names of the columns that tell a row's bucket, `other` the rows of all groups that `top` leaves out,
    `interval` the moments of a relative interval, `buckets` how many buckets were computed.
    """

    times: tuple[str, ...]
    dimensions: tuple[str, ...]
    metrics: tuple[Metric, ...]
    candidates: Sequence[Row]
    rows: Sequence[Row]
    totals: Row | None
    other: Sequence[Row] | None = None
    interval: Mapping[str, str] | None = None
    buckets: int = 1

    @property
    def width(self) -> int:
        """The number of columns that identify a row."""
        return len(self.times) + len(self.dimensions)

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.times, *self.dimensions, *(metric.name for metric in self.metrics))


def passes(row: Sequence[Value], columns: Sequence[str], having: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the row matches all of `having`."""
    for each in having:
        value = row[columns.index(each["metric"])]
        if value is None or not COMPARISONS[each["type"]](value, each["value"]):
            return False
    return True


def in_order(rows: Sequence[Row], columns: Sequence[str], order_by: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Sort rows, which are in order of time and groups, by `order_by`. Equal rows keep their order."""

    def compare(a: Row, b: Row) -> int:
        for each in order_by:
            index = columns.index(each["column"])
            if way := compare_values(a[index], b[index], moments=each["column"].endswith("start_time")):
                return -way if each.get("direction") == "descending" else way
        return 0

    return sorted(rows, key=cmp_to_key(compare))


def compare_values(a: Value, b: Value, *, moments: bool = False) -> int:
    """Negative, 0 or positive; null is before everything, strings are in the order of UTF-16's units."""
    if a is None or b is None:
        return (a is not None) - (b is not None)
    if isinstance(a, str) and isinstance(b, str):
        key = datetime.fromisoformat if moments else _utf_16
        first, second = key(a), key(b)
        return (first > second) - (first < second)  # type: ignore[operator]
    assert not isinstance(a, str)
    assert not isinstance(b, str)
    return (a > b) - (a < b)


def _utf_16(text: str) -> bytes:
    return text.encode("utf-16-be")


def arithmetic(function: str, fields: Sequence[Any]) -> Callable[[Mapping[str, Value]], Value]:
    """The formula of a post-aggregation."""

    def compute(row: Mapping[str, Value]) -> Value:
        first, *others = (row[each] if isinstance(each, str) else each for each in fields)
        if first is None or None in others:
            return None
        result = float(first)
        for each in others:
            assert each is not None
            if function == "/" and each == 0:
                return None
            result = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[function](
                result, float(each)
            )
        return result if abs(result) < float("inf") else None

    return compute


def change(name: str) -> Callable[[Mapping[str, Value]], Value]:
    """The formula of the change of a metric."""

    def compute(row: Mapping[str, Value]) -> Value:
        now, before = row[name], row[f"{name}_previous"]
        if now is None or before is None or before == 0:
            return None
        assert not isinstance(now, str)
        assert not isinstance(before, str)
        return (float(now) - float(before)) / abs(float(before))

    return compute
