"""The published schema and the one that decides accept the same documents."""

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.query.limits import Limits
from gateway.query.schema import FORMATS, report_schema
from gateway.web.published_schema import published
from tests.datasets import DATASETS
from tests.strategies import bodies

GOLDEN = Path(__file__).parents[2] / "golden"
DATASET = DATASETS["chat_sessions"]
DECIDING = report_schema(DATASET, Limits())
PUBLISHED = published(DECIDING)
VALIDATORS = [
    jsonschema_rs.Draft202012Validator(schema, formats=dict(FORMATS), validate_formats=True)
    for schema in (DECIDING, PUBLISHED)
]
KEYS = sorted(
    {
        key
        for definition in [DECIDING, *DECIDING["$defs"].values()]
        for key in [*definition.get("properties", {}), "start", "end", "column", "metric"]
    }
)
TEXTS = [
    "",
    "1",
    "x",
    "count",
    "sum",
    "selector",
    "in",
    "bound",
    "like",
    "not",
    "and",
    "sales",
    "scope",
    "org",
    "user_id",
    "numeric",
    "2019-01-01",
    "equalTo",
]
SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [*TEXTS, None, True, 0, -1.5, 2**60, {}, [], [None], ["sales"], ["sales", "sales"]]
)


def accepted(body: object) -> bool:
    """Return what both schemas say, which must be the same."""
    by_deciding, by_published = (validator.is_valid(body) for validator in VALIDATORS)
    assert by_deciding == by_published, body
    return by_deciding


def places(node: Any) -> list[Any]:
    """Return all objects and lists of a document that are not empty."""
    if not isinstance(node, dict | list):
        return []
    inner = node.values() if isinstance(node, dict) else node
    return [node] * bool(node) + [each for value in inner for each in places(value)]


def mutate(body: Any, data: st.DataObject) -> None:
    """Change, add or remove one value somewhere in the document."""
    node = data.draw(st.sampled_from(places(body)))
    key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
    match data.draw(st.sampled_from(["remove", "replace", "add", "copy"])):
        case "remove":
            del node[key]
        case "replace":
            node[key] = deepcopy(data.draw(SCALARS))
        case "add" if isinstance(node, dict):
            node[data.draw(st.sampled_from(KEYS))] = deepcopy(data.draw(SCALARS))
        case _:
            other = data.draw(st.sampled_from(places(body)))
            node[key] = deepcopy(other)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=bodies(DATASET), data=st.data())
def test_both_schemas_accept_the_same_documents(body: Any, data: st.DataObject) -> None:
    assert accepted(body)
    for _ in range(data.draw(st.integers(1, 4))):
        if places(body):
            mutate(body, data)
    accepted(body)


def golden_bodies() -> Iterator[tuple[str, Any]]:
    """Yield the bodies of the golden cases that are JSON, by the names of the cases."""
    for path in sorted(GOLDEN.glob("*/request.json")):
        with suppress(ValueError, RecursionError):
            yield path.parent.name, json.loads(path.read_bytes())


@pytest.mark.parametrize(("_", "body"), tuple(golden_bodies()))
def test_both_schemas_accept_the_same_golden_cases(_: str, body: Any) -> None:
    accepted(body)


def test_the_published_schema_has_neither_conditions_nor_boolean_schemas() -> None:
    unfit = {"if", "then", "else", "allOf", "anyOf", "not"}

    def check(node: Any) -> None:
        assert isinstance(node, dict)
        assert not unfit & node.keys()
        for each in [*node.get("oneOf", ()), *node.get("properties", {}).values(), *node.get("$defs", {}).values()]:
            check(each)
        if "items" in node:
            check(node["items"])

    check(PUBLISHED)
