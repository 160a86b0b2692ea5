"""Whether an answer is what the oracle expects."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.oracle.expected import Expected, Metric, Ranked, Row, Value, compare_values, in_order, passes

RELATIVE: Final = 1e-9
"""The tolerance for sums of floats, which depend on the order of addition."""
ABSOLUTE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Uniques:
    """The tolerance of hyperUnique: a share of the exact number, but no less than `least`."""

    share: float
    least: float

    def within(self, exact: float) -> float:
        return max(self.least, self.share * exact)


SKETCH: Final = Uniques(0.02, 0.5)
"""What the contract promises; small numbers are exact when rounded."""
METRIC: Final = Uniques(5 * 0.023, 3.5)
"""Five standard errors of 2,048 registers. For few values, one or two shared registers matter."""


def disagreements(
    body: Mapping[str, Any], expected: Expected, answer: Mapping[str, Any], uniques: Uniques
) -> Iterator[str]:
    """Describe every difference between the answer and the expected one."""
    dimensions = [*expected.times, *expected.dimensions]
    fields = [{"name": name, "type": "dimension"} for name in dimensions]
    fields += [{"name": metric.name, "type": "metric"} for metric in expected.metrics]
    if answer["fields"] != fields:
        yield f"fields: expected {fields}, got {answer['fields']}"
        return
    if problems := list(_members(body, expected, answer, uniques)):
        yield from problems
        return
    rows = [tuple(row) for row in answer["data"]]
    width = expected.width
    if strange := [row for row in rows if len(row) != len(fields)]:
        yield f"not as many values as columns: {strange[:3]}"
        return
    by_key = {row[:width]: row for row in expected.candidates}
    for row in rows:
        if (wanted := by_key.get(row[:width])) is None:
            yield f"a row that should not be there: {row}"
        else:
            yield from _values(row, wanted, expected, uniques)
    if len({row[:width] for row in rows}) < len(rows):
        yield "a row is there twice"
    yield from _selection(body, expected, rows, uniques)


def _members(body: Mapping[str, Any], expected: Expected, answer: Mapping[str, Any], uniques: Uniques) -> Iterator[str]:
    """Compare what the answer has beside its rows."""
    members = {
        "totals": body.get("totals", False),
        "other": expected.other is not None,
        "interval": expected.interval is not None,
    }
    if answer.keys() - {"warnings"} != {"fields", "data", *(name for name, asked in members.items() if asked)}:
        yield f"keys of the answer: {sorted(answer)}"
        return
    if expected.interval is not None and answer["interval"] != expected.interval:
        yield f"interval: expected {expected.interval}, got {answer['interval']}"
    if expected.other is not None:
        other = [tuple(row) for row in answer["other"]]
        if [row[: expected.width] for row in other] != [row[: expected.width] for row in expected.other]:
            yield f"other: expected {expected.other[:5]}, got {other[:5]}"
            return
        for got, want in zip(other, expected.other, strict=True):
            yield from (f"other: {each}" for each in _values(got, want, expected, uniques))
    if expected.totals is not None:
        totals = tuple(answer["totals"])
        if totals[: expected.width] != expected.totals[: expected.width]:
            yield f"totals: expected {expected.totals}, got {totals}"
        else:
            yield from (f"totals: {each}" for each in _values(totals, expected.totals, expected, uniques))


def _values(row: Row, wanted: Row, expected: Expected, uniques: Uniques) -> Iterator[str]:
    if len(row) != len(wanted) or not all(map(_are_alike, row, wanted)):
        yield f"expected the likes of {wanted}, got {row}"
        return
    named = dict(zip(expected.columns, row, strict=True))
    for metric, got, want in zip(expected.metrics, row[expected.width :], wanted[expected.width :], strict=True):
        # What follows from other columns must follow from them as they are in the answer.
        follows = want if metric.formula is None else metric.formula(named)
        if not _close(metric, got, follows, uniques):
            yield f"{metric.name}: expected {follows}, got {got} in {row}"


def _are_alike(got: Value, want: Value) -> bool:
    return type(got) is type(want) or (isinstance(want, Ranked) and type(got) is float) or None in (got, want)


def _close(metric: Metric, got: Value, want: Value, uniques: Uniques) -> bool:
    if got is None or want is None:
        return got is want
    assert not isinstance(got, str)
    assert not isinstance(want, str)
    if isinstance(want, Ranked):
        return want.accepts(got)
    if metric.kind == "hyperUnique":
        return abs(got - want) <= uniques.within(want)
    if metric.kind == "count":
        return got == want
    return math.isclose(got, want, rel_tol=RELATIVE, abs_tol=ABSOLUTE if metric.formula is not None else 0.0)


def _selection(body: Mapping[str, Any], expected: Expected, rows: Sequence[Row], uniques: Uniques) -> Iterator[str]:
    """Check that these are the right rows in the right order.

    If having or order_by read inexact numbers, two right answers can differ. Then the answer must
    agree with itself, and nothing may be missing that the oracle is sure of.
    """
    doubt = _Doubt(
        expected=expected,
        having=body.get("having", ()),
        order_by=body.get("order_by", ()),
        inexact={metric.name: metric for metric in expected.metrics if not metric.exact},
        place={row[: expected.width]: number for number, row in enumerate(expected.candidates)},
        uniques=uniques,
    )
    if doubt.exists:
        yield from doubt.contradictions(rows, body.get("limit"))
        return
    keys, wanted = ([row[: expected.width] for row in each] for each in (rows, expected.rows))
    if keys != wanted:
        yield f"rows or their order: expected {len(wanted)}: {wanted[:8]}, got {len(keys)}: {keys[:8]}"


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Checks of rows that are chosen and ordered by inexact numbers.

    `inexact` contains the metrics with such numbers, `place` the position of each row by time and groups.
    """

    expected: Expected
    having: Sequence[Mapping[str, Any]]
    order_by: Sequence[Mapping[str, Any]]
    inexact: Mapping[str, Metric]
    place: Mapping[Row, int]
    uniques: Uniques

    @property
    def exists(self) -> bool:
        asked = {*(each["metric"] for each in self.having), *(each["column"] for each in self.order_by)}
        return not asked.isdisjoint(self.inexact)

    def contradictions(self, rows: Sequence[Row], limit: int | None) -> Iterator[str]:
        columns = self.expected.columns
        yield from (f"having does not let this through: {row}" for row in rows if not passes(row, columns, self.having))
        in_place = sorted(rows, key=self._place)
        for got, want in zip(rows, in_order(in_place, columns, self.order_by), strict=True):
            if got != want:
                yield f"out of order: {got}, where {want} should be"
                break
        if limit is not None and len(rows) > limit:
            yield f"{len(rows)} rows, more than the limit of {limit}"
        full = len(rows) == limit
        present = {row[: self.expected.width] for row in rows}
        for row in self.expected.candidates:
            absent = row[: self.expected.width] not in present
            if absent and self._surely_passes(row) and (not full or self._surely_before(row, rows[-1])):
                yield f"a row that is missing: {row}"

    def _place(self, row: Row) -> int:
        return self.place.get(row[: self.expected.width], -1)

    def _margin(self, column: str, value: Value) -> float:
        """The largest difference between this number and that of another right answer."""
        metric = self.inexact.get(column)
        if metric is None or value is None or isinstance(value, str):
            return 0.0
        if metric.kind in ("derived", "quantile"):
            return math.inf
        return 2 * self.uniques.within(value) if metric.kind == "hyperUnique" else abs(value) * RELATIVE

    def _surely_passes(self, row: Row) -> bool:
        columns = self.expected.columns
        return all(
            passes([self._moved(c, v, way) for c, v in zip(columns, row, strict=True)], columns, self.having)
            for way in (-1, 1)
        )

    def _moved(self, column: str, value: Value, way: int) -> Value:
        return value if value is None or isinstance(value, str) else value + way * self._margin(column, value)

    def _surely_before(self, row: Row, other: Row) -> bool:
        for each in self.order_by:
            index = self.expected.columns.index(each["column"])
            a, b = row[index], other[index]
            margin = self._margin(each["column"], a) + self._margin(each["column"], b)
            if margin and abs(_number(a) - _number(b)) <= margin:
                return False
            if way := compare_values(a, b, moments=each["column"].endswith("start_time")):
                return (way > 0) == (each.get("direction") == "descending")
        return self._place(row) < self._place(other)


def _number(value: Value) -> float:
    # Null is far from every number.
    return -math.inf if value is None or isinstance(value, str) else value
