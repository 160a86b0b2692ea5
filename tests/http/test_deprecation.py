"""A deprecated data set says so in each of its responses, and in its descriptions."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from gateway.catalog.model import Deprecation
from gateway.query.limits import Limits
from gateway.query.schema import compile_schema
from gateway.web.openapi import openapi
from tests.datasets import CHAT_SESSIONS
from tests.http.asking import Client, ask
from tests.http.stand_in import StandIn, respond, row
from tests.http.test_links import link, send
from tests.serving import serving, settings_for

DAYS = Deprecation(date(2026, 1, 1), date(2026, 12, 31), "https://docs.example/new")
DEPRECATED = replace(CHAT_SESSIONS, deprecation=DAYS)
HEADERS = {
    "deprecation": "@1767225600",
    "sunset": "Thu, 31 Dec 2026 00:00:00 GMT",
    "link": '<https://docs.example/new>; rel="deprecation"',
}


async def test_every_response_of_a_deprecated_data_set_says_so(tmp_path: Path, druid_stand_in: StandIn) -> None:
    # There are no rows to describe.
    druid_stand_in.answer = respond(row(count=0, rows=0))
    settings = settings_for(tmp_path, druid_stand_in.url, reuse_seconds=0.0)
    async with serving(settings, datasets=[DEPRECATED]) as gateway, Client(gateway) as client:
        answers = [
            await ask(client),
            await ask(client, {}),
            await send(client, "GET", link(client, format="csv")),
            await send(client, "GET", client.gateway.path()),
            await send(client, "GET", client.gateway.path("unknown")),
            await client.send("GET", client.gateway.path()),
        ]
        assert [answer.status for answer in answers] == [200, 400, 200, 200, 404, 401]
        for answer in answers:
            assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert answers[3].json["deprecated"] == {
            "since": "2026-01-01",
            "sunset": "2026-12-31",
            "link": "https://docs.example/new",
        }
        other = await send(client, "GET", "/api/reporting/v1/orgs")
        assert not HEADERS.keys() & other.headers.keys()


async def test_another_data_set_has_none_of_these_headers(client: Client) -> None:
    answer = await ask(client)
    assert not HEADERS.keys() & answer.headers.keys()


@pytest.mark.parametrize("deprecation", [DAYS, None])
def test_the_openapi_document_marks_the_operations(deprecation: Deprecation | None) -> None:
    dataset = replace(CHAT_SESSIONS, deprecation=deprecation)
    paths = openapi([compile_schema(dataset, Limits())])["paths"]
    operations = [path[method] for path in paths.values() for method in ("get", "post") if method in path]
    marked = {each["operationId"] for each in operations if each.get("deprecated")}
    every = {each["operationId"] for each in operations if dataset.name in each["tags"]}
    assert len(every) == 4
    assert marked == (every if deprecation else set())
