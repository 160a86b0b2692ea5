"""From the numbers of each group to an answer: comparison, top, fill, having, order, offset, limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from itertools import islice
from typing import Any, Final, Protocol

from tests.oracle import clock
from tests.oracle.expected import Expected, Metric, Row, Value, arithmetic, change, compare_values, in_order, passes

MOST_ROWS: Final = 50_000
"""Answers with more rows, close to the gateway's limits, are not compared; other tests cover them."""

Interval = tuple[int, int]
Key = tuple[int, Row]
"""The index of a bucket, and the group."""


class Numbers(Protocol):
    """Computes the numbers of groups; Oracle does."""

    def side(self, body: Mapping[str, Any], conditions: Sequence[str], side: "Side") -> list[Row]: ...

    def metrics(self, body: Mapping[str, Any]) -> list[Metric]: ...


@dataclass(frozen=True, slots=True)
class Side:
    """One computation: of which interval, in which buckets and groups. `without` is a filter that no row may match."""

    interval: Interval
    granularity: str
    groups: Sequence[str]
    without: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One report, and the conditions of whose rows it reads."""

    numbers: Numbers
    body: Mapping[str, Any]
    conditions: tuple[str, ...]
    zone: str

    def answer(self, sides: Sequence[Interval], buckets: Sequence[Sequence[int]]) -> Expected:
        """The answer for the report's interval and the one it is compared with, and the buckets of each."""
        body, dimensions = self.body, tuple(self.body.get("group_by", ()))
        granularity, compares = body.get("granularity", "all"), len(sides) > 1
        top = self._top(sides[0]) if "top" in body else None
        found = [self._side(Side(s, granularity, dimensions), b) for s, b in zip(sides, buckets, strict=True)]
        count = len(buckets[0])
        keys = {key for each in found for key in each if key[0] < count and (top is None or key[1] in top)}
        if not dimensions:
            keys = {(index, ()) for index in range(count)}
        if body.get("fill"):
            # More rows than MOST_ROWS are not compared, and millions would take minutes.
            groups = islice({group for _, group in keys}, MOST_ROWS // count + 1)
            keys = {(index, group) for group in groups for index in range(count)}
        paired = compares and granularity != "all"
        times = ("start_time", "previous_start_time") if paired else ("start_time",)

        def row(key: Key, sources: Sequence[Mapping[Key, Row]], group: Row) -> Row:
            shown = [b[key[0]] if key[0] < len(b) else None for b in buckets[: len(times)]]
            texts = [None if at is None else clock.shown(at, self.zone) for at in shown]
            return (*texts, *group, *self._joined([each.get(key) for each in sources]))

        candidates = [row(key, found, key[1]) for key in sorted(keys, key=cmp_to_key(_compare_keys))]
        nulls: Row = tuple(None for _ in dimensions)
        other = None
        if top is not None and body["top"].get("other"):
            rest = {"type": "or", "fields": [_is(dimensions, group) for group in top]} if top else None
            found = [self._side(Side(s, granularity, (), rest), b) for s, b in zip(sides, buckets, strict=True)]
            kept = sorted({key for each in found for key in each if key[0] < count})
            other = [row(key, found, nulls) for key in kept]
        totals = None
        if body.get("totals"):
            whole = [self._side(Side(side, "all", ()), [side[0]]) for side in sides]
            texts = [clock.shown(side[0], self.zone) for side in sides[: len(times)]]
            totals = (*texts, *nulls, *self._joined([each.get((0, ())) for each in whole]))
        expected = Expected(
            times, dimensions, self._columns(compares=compares), candidates, (), totals, other, self._interval(sides),
            sum(map(len, buckets)),
        )  # fmt: skip
        rows = [each for each in candidates if passes(each, expected.columns, body.get("having", ()))]
        rows = in_order(rows, expected.columns, body.get("order_by", ()))
        skipped = rows[body.get("offset", 0) :]
        return replace(expected, rows=skipped[: body.get("limit")])

    def _interval(self, sides: Sequence[Interval]) -> Mapping[str, str] | None:
        if "start" in self.body["interval"]:
            return None
        start, end = (clock.shown(at, self.zone) for at in sides[0])
        return {"start": start, "end": end}

    def _side(self, side: Side, buckets: Sequence[int]) -> dict[Key, Row]:
        index = {start: number for number, start in enumerate(buckets)}
        rows = self.numbers.side(self.body, self.conditions, side)
        width = 1 + len(side.groups)
        return {(index[row[0]], row[1:width]): row[width:] for row in rows}  # type: ignore[index]

    def _top(self, interval: Interval) -> list[Row]:
        """The groups with the first values over the whole interval."""
        top, groups = self.body["top"], tuple(self.body["group_by"])
        found = self._side(Side(interval, "all", groups), [interval[0]])
        columns = [metric.name for metric in self._columns(compares=False)]
        rows = [(*key[1], *self._joined([found[key]])) for key in sorted(found, key=cmp_to_key(_compare_keys))]
        order = [{"column": top["by"], "direction": top.get("direction", "descending")}]
        return [row[: len(groups)] for row in in_order(rows, [*groups, *columns], order)[: top["groups"]]]

    def _columns(self, *, compares: bool) -> tuple[Metric, ...]:
        columns = list(self.numbers.metrics(self.body))
        exact = {each.name: each.exact for each in columns}
        for each in self.body.get("post_aggregations", ()):
            exact[each["name"]] = all(exact.get(field, True) for field in each["fields"])
            formula = arithmetic(each["fn"], each["fields"])
            columns.append(Metric(each["name"], "derived", formula=formula, is_exact_formula=exact[each["name"]]))
        if not compares:
            return tuple(columns)
        return tuple(each for column in columns for each in _with_previous(column, exact=exact[column.name]))

    def _joined(self, sides: Sequence[Row | None]) -> Row:
        """The numbers of a row, from those of the metrics on each side."""
        metrics = self.numbers.metrics(self.body)
        complete: list[dict[str, Value]] = []
        for side in sides:
            values = tuple(metric.of_nothing for metric in metrics) if side is None else side
            row: dict[str, Value] = dict(zip((metric.name for metric in metrics), values, strict=True))
            for each in self.body.get("post_aggregations", ()):
                row[each["name"]] = arithmetic(each["fn"], each["fields"])(row)
            complete.append(row)
        if len(complete) == 1:
            return tuple(complete[0].values())
        now, before = complete
        return tuple(
            value
            for name in now
            for value in (now[name], before[name], change(name)({name: now[name], f"{name}_previous": before[name]}))
        )


def _with_previous(column: Metric, *, exact: bool) -> tuple[Metric, Metric, Metric]:
    previous = replace(column, name=f"{column.name}_previous")
    if column.formula is not None:
        formula = column.formula

        def earlier(row: Mapping[str, Value]) -> Value:
            return formula({name: row.get(f"{name}_previous") for name in row})

        previous = replace(previous, formula=earlier)
    name = f"{column.name}_change"
    return column, previous, Metric(name, "derived", formula=change(column.name), is_exact_formula=exact)


def _is(dimensions: Sequence[str], group: Row) -> dict[str, Any]:
    fields = [
        {"type": "selector", "dimension": name, "value": value} for name, value in zip(dimensions, group, strict=True)
    ]
    return {"type": "and", "fields": fields}


def _compare_keys(a: Key, b: Key) -> int:
    for first, second in zip((a[0], *a[1]), (b[0], *b[1]), strict=True):
        if way := compare_values(first, second):
            return way
    return 0
