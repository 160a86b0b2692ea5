"""Reports, computed by DuckDB from the ingested rows.

Written from the public contract and from what the documentation settles, and from nothing of the gateway's: what both
say is right twice. Here everything is as plain as can be; nothing is fast.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key
from pathlib import Path
from typing import Any, Final

import duckdb

from tests.oracle import clock
from tests.oracle.columns import CHAT_SESSIONS, SNAKE, Columns
from tests.oracle.filters import JAVA_ORDER, Sql

Value = str | int | float | None
Row = tuple[Value, ...]

COMPARISONS: Final = {
    "equalTo": operator.eq,
    "greaterThan": operator.gt,
    "greaterThanOrEqualTo": operator.ge,
    "lessThan": operator.lt,
    "lessThanOrEqualTo": operator.le,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric column. `kind`: count, sum, avg, hyperUnique. `integer`: whether the field has integers only."""

    name: str
    kind: str
    field: str | None
    filter: Mapping[str, Any] | None
    integer: bool = False

    @property
    def exact(self) -> bool:
        """Whether nothing is rounded, so that equal is equal."""
        return self.kind == "count" or (self.kind == "sum" and self.integer)

    @property
    def of_nothing(self) -> Value:
        return {"count": 0, "avg": None}.get(self.kind, 0.0)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a report should answer; `candidates`: the rows in order of time and groups, before having and limit."""

    dimensions: tuple[str, ...]
    metrics: tuple[Metric, ...]
    candidates: Sequence[Row]
    rows: Sequence[Row]
    totals: Row | None

    @property
    def width(self) -> int:
        """The number of columns that identify a row."""
        return 1 + len(self.dimensions)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("start_time", *self.dimensions, *(metric.name for metric in self.metrics))


class Oracle:
    """Answers reports from a file of original rows, whose keys are the public names of the columns."""

    def __init__(self, rows: Path, columns: Columns = CHAT_SESSIONS) -> None:
        self.columns = columns
        self._database = duckdb.connect(config={"threads": 1})
        self._database.execute(JAVA_ORDER)
        types = {
            **dict.fromkeys((columns.timestamp, columns.owner, *columns.text), "VARCHAR"),
            **dict.fromkeys(columns.sets, "VARCHAR[]"),
            **({} if columns.involved is None else {columns.involved: "VARCHAR[]"}),
            **dict.fromkeys(columns.integers, "BIGINT"),
            **dict.fromkeys(columns.floats, "DOUBLE"),
        }
        # An empty set has no value, like null. A value that occurs twice in a set counts once, and so does null.
        null = "CASE WHEN len(list_filter({0}, lambda x: x IS NULL)) > 0 THEN [NULL::VARCHAR] ELSE [] END"
        sets = ", ".join(f"nullif(list_distinct({name}) || {null.format(name)}, []) AS {name}" for name in columns.sets)
        replaced = f"REPLACE ({sets})" if sets else ""
        self._database.execute(
            f"CREATE TABLE sessions AS SELECT * {replaced}, epoch_ms({columns.timestamp}::TIMESTAMPTZ) AS t "
            "FROM read_json($file, format = 'newline_delimited', columns = $types)",
            {"file": str(rows), "types": types},
        )
        self._moments = [t for (t,) in self._database.execute("SELECT DISTINCT t FROM sessions ORDER BY t").fetchall()]
        self._bucketed: dict[tuple[str, str], str] = {}

    def values(self, column: str) -> list[Any]:
        """Every value that the column has in some row, the most frequent first."""
        each = f"unnest({column})" if column in self.columns.sets else column
        found = self._database.execute(
            f"SELECT v FROM (SELECT {each} AS v FROM sessions) WHERE v IS NOT NULL GROUP BY v ORDER BY count(*) DESC, v"
        ).fetchall()
        return [value for (value,) in found]

    def moments(self) -> list[int]:
        """The distinct moments of the rows, in order."""
        return self._moments

    def answer(self, body: Mapping[str, Any], *, owner: str, involved: str | None = None) -> Expected:
        """The answer over the rows that `owner` owns and in which `involved`, if given, was involved."""
        interval = body["interval"]
        zone = interval.get("time_zone", "UTC")
        start, end = clock.moment(interval["start"], zone), clock.moment(interval["end"], zone, end=True)
        granularity = body.get("granularity", "all")
        dimensions = tuple(body.get("group_by", ()))
        metrics = tuple(metric for each in body["aggregations"] for metric in self._metrics(each))

        sql = Sql(self.columns)
        conditions = [
            f"t >= {sql.value(start)}",
            f"t < {sql.value(end)}",
            f"{self.columns.owner} = {sql.value(owner)}",
        ]
        if involved is not None:
            conditions.append(f"list_contains({self.columns.involved}, {sql.value(involved)})")
        conditions.append(sql.condition(body.get("filters", [])))
        matched = f"SELECT * FROM sessions WHERE {' AND '.join(conditions)}"
        computed = [self._aggregate(metric, sql) for metric in metrics]

        def run(bucket: str, source: str, groups: Sequence[str]) -> list[Row]:
            # Grouping by a set yields a row for each of its values, or one with null.
            unnested = "".join(
                f", LATERAL (SELECT unnest(coalesce({name}, [NULL]))) AS _{name}(g_{name})"
                if name in self.columns.sets
                else f", LATERAL (SELECT {name}) AS _{name}(g_{name})"
                for name in groups
            )
            keys = [f"g_{name}" for name in groups]
            order = [
                f"{f'java_order({k})' if n not in self.columns.numbers else k} NULLS FIRST"
                for n, k in zip(groups, keys, strict=True)
            ]
            return self._database.execute(
                f"WITH matched AS ({matched}) "
                f"SELECT {', '.join([f'{bucket} AS bucket', *keys, *computed])} FROM {source}{unnested} "
                f"GROUP BY {', '.join(['bucket', *keys])} ORDER BY {', '.join(['bucket', *order])}",
                sql.values,
            ).fetchall()

        if granularity == "all":
            found = run(str(start), "matched", dimensions)
            expected_buckets = [start]
        else:
            table = self._buckets(granularity, zone)
            found = run("bucket", f"matched JOIN {table} USING (t)", dimensions)
            expected_buckets = clock.buckets(start, end, granularity, zone) if not dimensions else []
        nothing = tuple(metric.of_nothing for metric in metrics)
        if not dimensions:
            by_bucket = {bucket: (bucket, *values) for bucket, *values in found}
            assert by_bucket.keys() <= set(expected_buckets), "the oracle's own buckets disagree"
            found = [by_bucket.get(bucket, (bucket, *nothing)) for bucket in expected_buckets]
        candidates = [(clock.shown(bucket, zone), *rest) for bucket, *rest in found]  # type: ignore[arg-type]

        totals: Row | None = None
        if body.get("totals"):
            [(_, *values)] = run(str(start), "matched", ()) or [(None, *nothing)]
            totals = (clock.shown(start, zone), *(None for _ in dimensions), *values)
        expected = Expected(dimensions, metrics, candidates, (), totals)
        rows = [row for row in candidates if passes(row, expected.columns, body.get("having", ()))]
        rows = in_order(rows, expected.columns, body.get("order_by", ()))
        return Expected(dimensions, metrics, candidates, rows[: body.get("limit")], totals)

    def _buckets(self, granularity: str, zone: str) -> str:
        """The name of a table with the bucket of each moment."""
        if (name := self._bucketed.get((granularity, zone))) is None:
            name = self._bucketed[granularity, zone] = f"buckets_{len(self._bucketed)}"
            starts = [clock.bucket_of(t, granularity, zone) for t in self._moments]
            self._database.execute(
                f"CREATE TABLE {name} AS SELECT unnest($moments::BIGINT[]) AS t, unnest($starts::BIGINT[]) AS bucket",
                {"moments": self._moments, "starts": starts},
            )
        return name

    def _metrics(self, aggregation: Mapping[str, Any]) -> list[Metric]:
        kind, condition, name = (aggregation.get(key) for key in ("type", "filter", "name"))
        assert isinstance(kind, str)
        if kind == "count":
            return [Metric(name or "count", kind, None, condition)]
        return [
            Metric(name or f"{field}_{SNAKE[kind]}", kind, field, condition, field in self.columns.integers)
            for field in aggregation["fields"]
        ]

    def _aggregate(self, metric: Metric, sql: Sql) -> str:
        among = f"FILTER (WHERE {sql.condition(metric.filter)})" if metric.filter else ""
        match metric.kind:
            case "count":
                return f"count(*) {among}"
            case "sum":
                return f"coalesce(fsum({metric.field}) {among}, 0.0)"
            case "avg":
                return f"favg({metric.field}) {among}"
        assert metric.field in self.columns.computed["hyperUnique"]
        values = metric.field if metric.field in self.columns.sets else f"[{metric.field}]"
        # An empty string is no id, so it is not counted.
        return (
            f"coalesce(len(list_filter(list_distinct(flatten(list({values}) {among})), lambda x: x != '')), 0)::DOUBLE"
        )


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
            if way := compare_values(a[index], b[index], moments=index == 0):
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
