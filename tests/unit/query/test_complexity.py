"""Hostile bodies of any size and shape yield a few problems and never another kind of exception."""

import json
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.query.json_body import read_json
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.schema import compile_schema
from tests.datasets import CHAT_SESSIONS

SCHEMA = compile_schema(CHAT_SESSIONS, Limits())
SCOPE = {"type": "selector", "dimension": "scope", "value": "org"}


def body(**keys: Any) -> bytes:
    day = {"start": "2019-01-01", "end": "2019-01-02"}
    return json.dumps({"interval": day, "aggregations": [{"type": "count"}], **keys}).encode()


def nested(levels: int) -> Any:
    found: Any = SCOPE
    for _ in range(levels):
        found = {"type": "not", "field": found}
    return found


def values(found: list[Any], dimension: str = "team_id") -> bytes:
    return body(filters={"type": "in", "dimension": dimension, "values": found})


HOSTILE = {
    "a million brackets": b"[" * 1_000_000,
    "a million braces": b'{"a":' * 1_000_000,
    "ten thousand levels": b"[" * 10_000 + b"]" * 10_000,
    "many values": values(["x"] * 60_000),
    "many wrong values": values(["x"] * 60_000, "scope"),
    "many numbers": values(list(range(40_000))),
    "many filters": body(filters=[SCOPE] * 4_000),
    "many filters and a wrong one": body(filters=[*[SCOPE] * 4_000, 5]),
    "many wrong filters": body(filters=[{"type": "x"}] * 15_000),
    "wide and deep": body(filters=[nested(15)] * 300),
    "deep in an aggregation": body(aggregations=[{"type": "count", "filter": nested(18)}]),
    "many keys": json.dumps({str(number): number for number in range(20_000)}).encode(),
    "many groups": body(group_by=["scop"] * 20_000),
    "many fields": body(aggregations=[{"type": "sum", "fields": ["sales"] * 20_000}]),
    "one column often": body(aggregations=[{"type": "sum", "fields": ["sales"] * 200}]),
    "a long time zone": body(interval={"start": "2019", "end": "2020", "time_zone": "x" * 200_000}),
    "a long time": body(interval={"start": "1" * 200_000, "end": "1" * 200_000}),
    "filters that are none": body(
        filters=[{"type": "and", "fields": 5}, {"type": "not", "field": [[]]}, {"values": 5}]
    ),
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_body_is_400_with_a_few_problems(raw: bytes) -> None:
    with pytest.raises(GatewayError) as refused:
        parse(read_json(raw), SCHEMA)
    assert refused.value.status == 400
    assert len(refused.value.problems) <= 50


def test_a_body_that_is_too_large_has_no_other_problems() -> None:
    with pytest.raises(GatewayError) as refused:
        parse(read_json(body(filters=[*[SCOPE] * 300, {"type": "selektor"}], granularity="dya")), SCHEMA)
    assert [(each.pointer, each.message) for each in refused.value.problems] == [
        ("/filters", "has 301 filters; at most 200 are allowed")
    ]


def test_a_report_as_large_as_the_limits_allow_is_accepted() -> None:
    limits = SCHEMA.limits
    one = {"type": "in", "dimension": "team_id", "values": [str(number) for number in range(limits.filter_values)]}
    counts = [{"type": "count", "name": f"n{number}", "filter": SCOPE} for number in range(limits.aggregations)]
    report = parse(read_json(body(filters=[one, *[SCOPE] * (limits.filters - 1)], aggregations=counts)), SCHEMA)
    assert len(report.metrics) == limits.aggregations
