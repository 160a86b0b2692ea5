"""The comparison finds every difference: each answer here is wrong in one way."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import SAMPLES
from tests.oracle.disagreement import SKETCH, disagreements
from tests.oracle.expected import Expected
from tests.oracle.oracle import Oracle
from tests.serving import D

EXACT = {
    "interval": {"start": "2018-12-01", "end": "2020-02-01"},
    "granularity": "month",
    "group_by": ["room_ids"],
    "aggregations": [{"type": "count"}, {"type": "avg", "fields": ["sales"]}],
    "order_by": [{"column": "count", "direction": "descending"}],
    "limit": 4,
    "totals": True,
}
MONEY = {**EXACT, "order_by": [{"column": "sales_avg", "direction": "descending"}]}
UNIQUES = {
    **EXACT,
    "aggregations": [{"type": "count"}, {"type": "hyperUnique", "fields": ["visitor_ids"]}],
    "having": [{"type": "greaterThan", "metric": "visitor_ids_hyper_unique", "value": 1}],
    "order_by": [{"column": "visitor_ids_hyper_unique", "direction": "descending"}],
}
Answer = dict[str, Any]


def _answer(expected: Expected) -> Answer:
    dimensions = ("start_time", *expected.dimensions)
    return {
        "fields": [{"name": c, "type": "dimension" if c in dimensions else "metric"} for c in expected.columns],
        "data": [list(row) for row in expected.rows],
        "totals": list(expected.totals or ()),
    }


def _add(answer: Answer, row: int, column: int, difference: float) -> None:
    answer["data"][row][column] += difference


def _swap(answer: Answer) -> None:
    answer["data"][0], answer["data"][-1] = answer["data"][-1], answer["data"][0]


def _repeat(answer: Answer) -> None:
    answer["data"][-1] = answer["data"][0]


def _rename(answer: Answer) -> None:
    answer["fields"][-1]["name"] += "_"


def _lose_the_offset(answer: Answer) -> None:
    answer["data"][0][0] = answer["data"][0][0][:23]


def _add_to_totals(answer: Answer) -> None:
    answer["totals"][2] += 1


WRONG: list[Callable[[Answer], Any]] = [
    lambda answer: _add(answer, 0, 2, 1),
    lambda answer: _add(answer, 0, 2, 0.0),
    lambda answer: _add(answer, 0, 3, 0.6),
    lambda answer: answer["data"].pop(),
    lambda answer: answer["data"].pop(0),
    lambda answer: answer["data"][0].pop(),
    lambda answer: answer.pop("totals"),
    _swap,
    _repeat,
    _rename,
    _lose_the_offset,
    _add_to_totals,
]


@pytest.fixture(scope="module")
def hand_counted() -> Oracle:
    return Oracle(SAMPLES / "hand_counted.jsonl")


@pytest.mark.parametrize("body", [EXACT, MONEY, UNIQUES], ids=["exact", "money", "uniques"])
def test_right_answers_pass_and_wrong_ones_do_not(hand_counted: Oracle, body: dict[str, Any]) -> None:
    expected = hand_counted.answer(body, owner=D)
    assert len(expected.rows) == body["limit"]
    assert not list(disagreements(body, expected, _answer(expected), SKETCH))
    for number, spoil in enumerate(WRONG):
        answer = _answer(expected)
        spoil(answer)
        assert list(disagreements(body, expected, answer, SKETCH)), number


def test_sums_may_differ_by_rounding_and_uniques_by_two_percent(hand_counted: Oracle) -> None:
    for body, allowed in ((MONEY, 1e-12), (UNIQUES, 1e-8)):
        expected = hand_counted.answer(body, owner=D)
        answer = _answer(expected)
        _add(answer, 0, 3, allowed)
        assert not list(disagreements(body, expected, answer, SKETCH))
