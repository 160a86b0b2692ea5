"""The requests of the load test are checked with the gateway's parser."""

import json
from collections import defaultdict
from uuid import UUID

import pytest

from gateway.errors import GatewayError
from gateway.query.aggregations import Uniques
from gateway.query.json_body import read_json
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import plan
from gateway.query.schema import compile_schema
from tests.datasets import CHAT_SESSIONS, NOW
from tests.load.mix import BAD_BODY, KINDS, VARIANTS, WRONG_TOKEN, intrusions, questions
from tests.load.scenario import Caller, Question
from tests.tenants import tenant_of

CALLERS = tuple(Caller(str(UUID(int=number)), f"gwt_abcdefgh_{number:043}") for number in range(1, 11))
QUESTIONS = tuple(questions(CALLERS, seed=1))
SCHEMA = compile_schema(CHAT_SESSIONS, Limits())


def refusal_of(question: Question) -> str | None:
    """Return the error code of the body, if it is invalid."""
    try:
        plan(parse(read_json(question.body.encode()), SCHEMA), tenant_of(), SCHEMA, Uniques.SKETCH, now=NOW)
    except GatewayError as error:
        return error.code
    return None


def test_reports_are_valid_and_invalid_bodies_have_the_expected_code() -> None:
    assert [refusal_of(question) for question in QUESTIONS] == [question.code for question in QUESTIONS]
    assert {question.status for question in QUESTIONS if question.kind == BAD_BODY} == {400}


def test_requests_depend_on_the_seed_only() -> None:
    assert tuple(questions(CALLERS, seed=1)) == QUESTIONS
    assert tuple(questions(CALLERS, seed=2)) != QUESTIONS


def test_the_nth_organization_sends_one_nth_of_the_requests_of_the_first() -> None:
    weights: dict[str, float] = defaultdict(float)
    for question in QUESTIONS:
        weights[question.path] += question.weight
    first = weights[QUESTIONS[0].path]
    assert list(weights.values()) == pytest.approx([first / rank for rank in range(1, len(CALLERS) + 1)])
    assert first == pytest.approx(100)


def test_the_documented_example_is_the_most_frequent() -> None:
    assert max(KINDS, key=lambda kind: kind.share).name == "documented_example"
    examples = [json.loads(each.body) for each in QUESTIONS if each.kind == "documented_example"]
    assert len(examples) == len(CALLERS) * VARIANTS
    assert all(each["interval"]["end"].endswith(("23:59:59.999+02:00", "23:59:59.999+03:00")) for each in examples)


def test_intruders_have_no_valid_token() -> None:
    tried = tuple(intrusions(CALLERS))
    assert not {each.authorization.rpartition(" ")[2] for each in tried} & {caller.token for caller in CALLERS}
    assert {(each.kind, each.status) for each in tried} == {(WRONG_TOKEN, 401)}
    assert any(each.authorization.startswith("Token gwt_abcdefgh_") for each in tried)
