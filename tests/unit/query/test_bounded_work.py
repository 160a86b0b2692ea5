"""No input makes the gateway work for long in one go: other requests run between two slices of an answer."""

import gc
import json
from collections.abc import Iterator, Sequence
from time import thread_time
from typing import Any, overload

import pytest

from gateway.errors import GatewayError
from gateway.query.compile import compile_report
from gateway.query.json_body import read_json
from gateway.query.parse import parse
from gateway.query.plan import Plan
from gateway.query.respond import Result, respond
from gateway.query.schema import ReportSchema
from gateway.query.validation_errors import MAX_PROBLEMS, Suggestions
from tests.unit.query.conftest import Planner

MONTH = {"start": "2019-01-01", "end": "2019-02-01"}
NAMES = [f"n{number}" for number in range(50)]
COUNTS = [{"type": "count", "name": name} for name in NAMES]
ORDERS = [{"column": name, "direction": "descending"} for name in NAMES]
NEVER = [{"type": "lessThan", "metric": name, "value": -1} for name in NAMES]
EVER = [{"type": "greaterThan", "metric": name, "value": -1} for name in NAMES]

STEP = 0.05
"""Seconds of CPU time, without the garbage collector's. The aim is 0.02 seconds on an idle machine."""
VALUES = 5_000


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Counted(Sequence[Any]):
    """Rows of Druid that count how many of them have been read."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows, self.read = rows, 0

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        found = self.rows[index]
        self.read += len(found) if isinstance(index, slice) else 1
        return found


def minutes(planned: Plan, value: int | None = None) -> list[Any]:
    """A row for each minute; with a value, all metrics of all rows are equal."""
    assert planned.buckets is not None
    return [
        {
            "timestamp": f"2019-01-{1 + index // 1440:02}T{index // 60 % 24:02}:{index % 60:02}:00.000Z",
            "result": dict.fromkeys(NAMES, value if value is not None else index * 7919 % 1000),
        }
        for index in range(len(planned.buckets.labels))
    ]


HOSTILE: dict[str, dict[str, Any]] = {
    "fifty columns to order by": {"order_by": ORDERS},
    "having drops every row": {"having": NEVER},
    "having and order": {"having": EVER, "order_by": ORDERS, "limit": 1},
}


@pytest.mark.parametrize("value", [None, 1], ids=["different values", "equal values"])
@pytest.mark.parametrize("keys", HOSTILE.values(), ids=HOSTILE)
def test_a_month_by_minute_is_answered_in_short_steps(
    keys: dict[str, Any], value: int | None, planner: Planner
) -> None:
    planned = planner({"interval": MONTH, "granularity": "minute", "aggregations": COUNTS, **keys})
    rows = Counted(minutes(planned, value))
    slices = respond(planned, {"report": Result(compile_report(planned), rows)}).slices()
    read, longest = 0, 0.0
    began = thread_time()
    for each in slices:
        longest = max(longest, thread_time() - began)
        assert (rows.read - read) * len(NAMES) <= 2 * VALUES
        assert len(each.rows) * len(NAMES) <= VALUES
        read = rows.read
        began = thread_time()
    assert rows.read == 31 * 1440
    assert longest < STEP


def test_many_groups_are_answered_in_short_steps(planner: Planner) -> None:
    planned = planner({"interval": MONTH, "group_by": ["user_id", "team_id"], "aggregations": COUNTS})
    rows = Counted([[f"u{n}", f"t{n}", *range(50)] for n in range(20_000)])
    sizes = []
    read = 0
    for each in respond(planned, {"report": Result(compile_report(planned), rows)}).slices():
        sizes.append((rows.read - read) * 52)
        read = rows.read
        assert len(each.rows) * 52 <= VALUES
    assert max(sizes) <= VALUES


def body(**keys: Any) -> bytes:
    return json.dumps({"interval": MONTH, "aggregations": [{"type": "count"}], **keys}).encode()


SELECTOR = {"type": "selector", "dimension": "scope", "value": "org"}
INVALID = {
    "one invalid filter among many": body(filters=[*[SELECTOR] * 190, {"type": "selector", "dimension": "x"}]),
    "many misspelt filters": body(filters=[{"type": "selektor", "dimension": "skope", "valeu": 1}] * 190),
    "many misspelt keys": body(**{f"granularit{n}": "day" for n in range(500)}),
    "many misspelt metrics": body(
        aggregations=[{"type": "sum", "fields": ["sales"], "name": f"sales_of_a_long_name_{n}"} for n in range(50)],
        having=[{"type": "greaterThan", "metric": f"sale_of_a_long_nam_{n}", "value": 1} for n in range(50)],
        order_by=[{"column": f"sale_of_a_long_nam_{n}"} for n in range(50)],
    ),
    "many misspelt fields": body(aggregations=[{"type": "sum", "fields": ["saless", "order_cuont"] * 3}] * 50),
    "a misspelt zone": body(interval={**MONTH, "time_zone": "Europe/Helsinkii"}),
    "values of another type": body(filters={"type": "in", "dimension": "sales", "values": ["x"] * 1_900}),
    "a long text": body(filters={"type": "like", "dimension": "scope", "pattern": "x" * 14_000}),
}


@pytest.mark.parametrize("raw", INVALID.values(), ids=INVALID)
def test_an_invalid_body_is_explained_in_one_short_step(raw: bytes, schema: ReportSchema) -> None:
    def seconds() -> float:
        began = thread_time()
        with pytest.raises(GatewayError) as caught:
            parse(read_json(raw), schema)
        assert 1 <= len(caught.value.problems) <= MAX_PROBLEMS
        return thread_time() - began

    assert min(seconds() for _ in range(5)) < STEP


def test_suggestions_are_few() -> None:
    near = Suggestions()
    suggested = [near.nearest("granularty", ["granularity"]) for _ in range(30)]
    assert suggested[0] == ' (did you mean "granularity"?)'
    assert sum(map(bool, suggested)) == 10


@pytest.mark.parametrize(
    ("start", "end", "granularity"),
    [
        ("2010-01-01", "2020-01-01", "six_hour"),
        ("2010-01-01", "2020-01-01", "day"),
        ("2019-01-01", "2019-02-01", "minute"),
    ],
)
def test_a_plan_with_very_many_buckets_is_made_in_one_short_step(
    start: str, end: str, granularity: str, planner: Planner
) -> None:
    def seconds() -> float:
        interval = {"start": start, "end": end, "time_zone": "Africa/Casablanca"}
        began = thread_time()
        compile_report(planner({"interval": interval, "granularity": granularity, "aggregations": [{"type": "count"}]}))
        return thread_time() - began

    assert min(seconds() for _ in range(5)) < STEP
