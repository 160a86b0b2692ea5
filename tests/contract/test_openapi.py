"""openapi.json and the running gateway agree, whatever is asked (schemathesis)."""

import json
import urllib.request
from datetime import datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.schema import compile_schema
from gateway.query.zones import TIME_ZONES
from gateway.web.openapi import example, openapi
from gateway.web.paths import PREFIX
from gateway.web.published_schema import published
from tests.datasets import CHAT_SESSIONS, DATASETS
from tests.serving import D, Gateway

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
SCHEMA = compile_schema(CHAT_SESSIONS, Limits())
PUBLISHED = published(SCHEMA.document)
DOCUMENT = openapi([SCHEMA])
# What the formats of the schema mean, for generated bodies that are valid.
MOMENTS = st.datetimes(datetime(2018, 6, 1), datetime(2020, 6, 1))  # noqa: DTZ001 - times without an offset
schemathesis.openapi.format("timestamp", MOMENTS.map(lambda moment: moment.isoformat(timespec="seconds")))
schemathesis.openapi.format("time-zone", st.sampled_from(sorted(TIME_ZONES)))

EXAMPLE = json.dumps(example(SCHEMA))
METHODS = ("get", "post")
EXAMPLES = {"get": 50, "post": 500}


def test_the_document_that_is_served_is_the_one_that_is_tested(hand_counted_gateway: Gateway) -> None:
    with urllib.request.urlopen(f"{hand_counted_gateway.url}{PREFIX}/openapi.json", timeout=10) as response:
        assert json.load(response) == DOCUMENT


def test_the_published_request_schema_is_derived_from_the_one_that_decides() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    definitions = {key: _back(schemas[f"chat_sessions_{key}"]) for key in PUBLISHED["$defs"]}
    dialect = {"$schema": SCHEMA.document["$schema"]}
    assert dialect | _back(schemas["chat_sessions"]) | {"$defs": definitions} == PUBLISHED


def test_the_examples_are_valid_reports() -> None:
    for dataset in DATASETS.values():
        schema = compile_schema(dataset, Limits())
        parse(example(schema), schema)


@pytest.mark.parametrize(
    ("path", "method"),
    [(path, method) for path in DOCUMENT["paths"] for method in METHODS if method in DOCUMENT["paths"][path]],
)
def test_no_request_made_from_the_document_breaks_its_promises(
    path: str, method: str, hand_counted_gateway: Gateway
) -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    headers = {"Authorization": f"Token {hand_counted_gateway.tokens[D]}"}

    statuses = set()

    # A random organization ends in 404. In the caller's own the report matters, and few random ones are valid.
    @given(case=operation.as_strategy(), mine=st.sampled_from([True, True, True, False]), valid=st.booleans())
    @settings(max_examples=EXAMPLES[method], deadline=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any, mine: bool, valid: bool) -> None:  # noqa: FBT001 - hypothesis gives them
        if mine and "organization_id" in case.path_parameters:
            case.path_parameters["organization_id"] = D
        if valid and "q" in case.query:
            case.query["q"] = EXAMPLE
            case.query.pop("page", None)
        if valid and "dimension" in case.path_parameters:
            case.path_parameters["dimension"] = "chat_type"
            case.query = {"start": "2019-01-01", "end": "2019-01-04"}
        if valid and method == "post":
            case.body = json.loads(EXAMPLE)
        response = case.call(base_url=hand_counted_gateway.url, headers=headers)
        case.validate_response(response, checks=CHECKS)
        statuses.add(response.status_code)

    ask()

    assert 200 in statuses
    assert "{" not in path or 404 in statuses


def _back(node: Any) -> Any:
    """Undo what OpenAPI needs: references into the components."""
    text = json.dumps(node).replace("#/components/schemas/chat_sessions_", "#/$defs/")
    return json.loads(text)
