"""Every value of a caller in a native filter is declared, so that it can be kept out of the log."""

from typing import Any

import pytest
from pydruid.utils.filters import Filter as DruidFilter

from gateway.errors import InvalidReport
from gateway.query.filters import FILTERS, caller_values, parse_filter
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.schema import compile_schema
from tests.datasets import DATASETS

DATASET = DATASETS["chat_sessions"]
BODIES: dict[str, Any] = {
    "selector": {"type": "selector", "dimension": "team_id", "value": "marker"},
    "in": {"type": "in", "dimension": "team_id", "values": ["marker", None, "marker 2"]},
    "bound": {"type": "bound", "dimension": "team_id", "lower": "marker", "upper": "marker 2"},
    "like": {"type": "like", "dimension": "team_id", "pattern": "marker%", "escape": "é"},
}
BODIES["and"] = {"type": "and", "fields": list(BODIES.values())}
BODIES["or"] = {"type": "or", "fields": [BODIES["and"], BODIES["like"]]}
BODIES["not"] = {"type": "not", "field": BODIES["or"]}


def texts(value: object) -> set[str]:
    """Return every string of a JSON value that is not a key."""
    if isinstance(value, dict):
        return set().union(*(texts(each) for each in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(texts(each) for each in value))
    return {value} if isinstance(value, str) else set()


def test_every_filter_type_is_covered() -> None:
    assert BODIES.keys() == FILTERS.keys()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_declared_keys_carry_every_value_of_the_caller(body: Any) -> None:
    native = DruidFilter.build_filter(parse_filter(body, DATASET).to_druid())
    given = {text for text in texts(native) if "marker" in text or text == "é"}
    assert given
    assert set(caller_values(native)) == given


def test_the_values_of_a_whole_query_are_found() -> None:
    native = DruidFilter.build_filter(parse_filter(BODIES["selector"], DATASET).to_druid())
    query = {"filter": native, "aggregations": [{"type": "filtered", "filter": native}], "dataSource": "chat_sessions"}
    assert list(caller_values(query)) == ["marker", "marker"]


def test_the_escape_is_one_character_for_druid_too() -> None:
    body = {"interval": {"start": "2019-01-01", "end": "2019-01-02"}, "aggregations": [{"type": "count"}]}
    like = {"type": "like", "dimension": "team_id", "pattern": "%", "escape": "\U0001f600"}
    with pytest.raises(InvalidReport) as raised:
        parse(body | {"filters": like}, compile_schema(DATASET, Limits()))
    [problem] = raised.value.problems
    assert (problem.pointer, problem.message[:40]) == ("/filters/escape", "must be a character of the Basic Multili")
