"""The published schema means the same to another library, and every problem has a pointer and a sentence."""

import copy
import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from gateway.errors import InvalidReport, Problem
from gateway.query.aggregations import Uniques
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import plan
from gateway.query.schema import FORMATS, compile_schema
from tests.datasets import DATASETS, NOW
from tests.strategies import bodies
from tests.tenants import tenant_of

DATASET = DATASETS["chat_sessions"]
SCHEMA = compile_schema(DATASET, Limits())
TENANT = tenant_of()
many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
    | st.sampled_from(
        [
            "2019-01-01",
            "2019-01-01T24:00",
            "2019-W01-1",
            "\u0662\u0660\u0661\u0669-\u0660\u0661-\u0660\u0661",
            "UTC",
            "utc",
            "day",
            "selector",
            "count",
            "sales",
        ]
    )
    | st.sampled_from(["1", "1.", "1\n", "-0", "1e3", "", "x" * 1025, 2**53, 2**53 - 1, 1.0, 0.0, -0.0, 1e300])
)
KEYS = st.sampled_from(
    ["type", "dimension", "value", "values", "fields", "field", "lower", "filter", "name", "interval", "start", "x", ""]
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def _places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in _places(child, (*path, key)))]


@st.composite
def nearly_valid(draw: st.DrawFn) -> object:
    """Draw a valid body, then replace, remove or add one to three values."""
    body: Any = copy.deepcopy(draw(bodies(DATASET)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_places(body)))
        if not path:
            continue
        *parents, last = path
        holder = body
        for key in parents:
            holder = holder[key]
        match draw(st.sampled_from(["other", "gone", "more"])):
            case "other":
                holder[last] = draw(ANYTHING)
            case "gone":
                del holder[last]
            case _ if isinstance(holder, dict):
                holder[draw(KEYS)] = draw(ANYTHING)
            case _:
                holder.append(draw(ANYTHING))
    return body


@many
@given(bodies(DATASET))
def test_every_valid_body_is_accepted(body: dict[str, Any]) -> None:
    report = parse(json.loads(json.dumps(body)), SCHEMA)
    made = plan(report, TENANT, SCHEMA, Uniques.SKETCH, now=NOW)
    assert made.report.limit == body.get("limit")


@many
@given(ANYTHING | nearly_valid())
@example({"limit": 1.0, "interval": {"start": "2019-01-01", "end": "2019-01-02"}, "aggregations": [{"type": "count"}]})
@example({"limit": True})
@example({"limit": 99_999_999_999_999_999_999})
def test_another_library_finds_the_same_bodies_valid(body: object) -> None:
    checker = FormatChecker(formats=())
    for name, check in FORMATS.items():
        checker.checks(name)(check)
    other = Draft202012Validator(SCHEMA.document, format_checker=checker)
    assert SCHEMA._validator.is_valid(body) == other.is_valid(body)


def test_the_schema_is_valid_by_its_draft() -> None:
    Draft202012Validator.check_schema(SCHEMA.document)


@many
@given(ANYTHING | nearly_valid())
def test_any_body_is_a_report_or_has_problems_with_existing_pointers(body: object) -> None:
    for problem in _problems(body):
        assert problem.message
        _follow(body, problem.pointer)


def _problems(body: object) -> tuple[Problem, ...]:
    try:
        parse(body, SCHEMA)
    except InvalidReport as error:
        return error.problems
    return ()


def _follow(body: Any, pointer: str) -> None:
    # For a missing part, the pointer leads to its parent or to where the part would be.
    assert pointer == "" or pointer.startswith("/")
    for key in pointer.split("/")[1:]:
        name = key.replace("~1", "/").replace("~0", "~")
        if isinstance(body, list):
            body = body[int(name)]
        elif name in body:
            body = body[name]
        else:
            return


def test_the_schema_is_json_and_states_its_draft() -> None:
    document = json.loads(json.dumps(SCHEMA.document))
    assert document == SCHEMA.document
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
