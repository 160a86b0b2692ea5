"""Reports, computed by DuckDB from the ingested rows.

Written from the public contract and from what the documentation settles, and from nothing of the gateway's: what both
say is right twice. Here everything is as plain as can be; nothing is fast.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from tests.oracle import clock, periods
from tests.oracle.answering import Ask, Side
from tests.oracle.columns import CHAT_SESSIONS, TIME_PARTS, Columns, column_name
from tests.oracle.expected import Expected, Metric, Ranked, Row
from tests.oracle.filters import JAVA_ORDER, Sql

NEVER: Final = 1 << 45
"""A time of a request after everything else."""


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
        if column in TIME_PARTS:
            return list(TIME_PARTS[column])
        each = f"unnest({column})" if column in self.columns.sets else column
        found = self._database.execute(
            f"SELECT v FROM (SELECT {each} AS v FROM sessions) WHERE v IS NOT NULL GROUP BY v ORDER BY count(*) DESC, v"
        ).fetchall()
        return [value for (value,) in found]

    def moments(self) -> list[int]:
        """The distinct moments of the rows, in order."""
        return self._moments

    def answer(self, body: Mapping[str, Any], *, owner: str, involved: str | None = None, now: int = NEVER) -> Expected:
        """The answer over the rows that `owner` owns and in which `involved`, if given, was involved."""
        zone = body["interval"].get("time_zone", "UTC")
        start, end, whole_end = periods.interval_of(body["interval"], now)
        sides = [(start, end)]
        if "compare" in body:
            sides = [*periods.compared(body["compare"], (start, whole_end), zone, now)]
        own = [f"{self.columns.owner} = '{owner}'"]
        if involved is not None:
            own.append(f"list_contains({self.columns.involved}, '{involved}')")
        granularity = body.get("granularity", "all")
        ask = Ask(self, body, tuple(own), zone)
        buckets = [
            [a] if granularity == "all" else clock.buckets(a, b, granularity, zone) if a < b else [] for a, b in sides
        ]
        return ask.answer(sides, buckets)

    def side(self, body: Mapping[str, Any], conditions: Sequence[str], side: Side) -> list[Row]:
        """The bucket's start, the group and the metrics of each group of rows in the interval, in no order."""
        zone = body["interval"].get("time_zone", "UTC")
        sql = Sql(self.columns)
        every = [*conditions, f"t >= {sql.value(side.interval[0])}", f"t < {sql.value(side.interval[1])}"]
        every.append(sql.condition(body.get("filters", [])))
        if side.without is not None:
            every.append(f"NOT {sql.condition(side.without)}")
        matched = f"SELECT * FROM sessions JOIN {self._parts(zone)} USING (t) WHERE {' AND '.join(every)}"
        metrics = self.metrics(body)
        computed = [self._aggregate(metric, sql) for metric in metrics]
        # Grouping by a set yields a row for each of its values, or one with null.
        unnested = "".join(
            f", LATERAL (SELECT unnest(coalesce({name}, [NULL]))) AS _{name}(g_{name})"
            if name in self.columns.sets
            else f", LATERAL (SELECT {name}) AS _{name}(g_{name})"
            for name in side.groups
        )
        keys = [f"g_{name}" for name in side.groups]
        bucket, source = str(side.interval[0]), "matched"
        if side.granularity != "all":
            bucket, source = "bucket", f"matched JOIN {self._buckets(side.granularity, zone)} USING (t)"
        found = self._database.execute(
            f"WITH matched AS ({matched}) "
            f"SELECT {', '.join([f'{bucket} AS bucket', *keys, *computed])} FROM {source}{unnested} "
            f"GROUP BY {', '.join(['bucket', *keys])}",
            sql.values,
        ).fetchall()
        return [(*row[: -len(metrics)], *map(_ranked, metrics, row[-len(metrics) :])) for row in found]

    def metrics(self, body: Mapping[str, Any]) -> list[Metric]:
        """The metrics of the aggregations."""
        return [metric for each in body["aggregations"] for metric in self._metrics(each)]

    def _parts(self, zone: str) -> str:
        """The name of a table with the local time's parts of each moment."""
        if (name := self._bucketed.get(("parts", zone))) is None:
            name = self._bucketed["parts", zone] = f"parts_{len(self._bucketed)}"
            columns = dict(
                zip(TIME_PARTS, zip(*(clock.parts(t, zone) for t in self._moments), strict=True), strict=True)
            )
            unnested = ", ".join(f"unnest(${part}::BIGINT[]) AS {part}" for part in columns)
            self._database.execute(
                f"CREATE TABLE {name} AS SELECT unnest($moments::BIGINT[]) AS t, {unnested}",
                {"moments": self._moments, **{part: list(values) for part, values in columns.items()}},
            )
        return name

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
        fraction = aggregation.get("fraction", 0.0)
        if kind == "count":
            return [Metric(name or "count", kind, None, condition)]
        return [
            Metric(
                name or column_name(field, kind, fraction),
                kind,
                field,
                condition,
                field in self.columns.integers,
                fraction,
            )
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
            case "min" | "max":
                return f"{metric.kind}({metric.field}) {among}::DOUBLE"
            case "quantile":
                return f"list_sort(list_filter(list({metric.field}::DOUBLE) {among}, lambda x: x IS NOT NULL))"
        assert metric.field in self.columns.computed["hyperUnique"]
        values = metric.field if metric.field in self.columns.sets else f"[{metric.field}]"
        # An empty string is no id, so it is not counted.
        return (
            f"coalesce(len(list_filter(list_distinct(flatten(list({values}) {among})), lambda x: x != '')), 0)::DOUBLE"
        )


def _ranked(metric: Metric, value: Any) -> Any:
    return Ranked.of(value or [], metric.fraction) if metric.kind == "quantile" else value
