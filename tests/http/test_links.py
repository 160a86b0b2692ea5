"""Reports that are requested by a link (GET) or with QUERY."""

import json
from collections.abc import Mapping
from urllib.parse import quote

import pytest

from tests.http.asking import COUNT, Client, ask, assert_problem
from tests.http.stand_in import StandIn
from tests.serving import Answer, D


def link(client: Client, report: object = COUNT, **parameters: str) -> str:
    further = "".join(f"&{name}={value}" for name, value in parameters.items())
    return f"{client.gateway.path()}/report?q={quote(json.dumps(report))}{further}"


async def send(
    client: Client, method: str, path: str, headers: Mapping[str, str] | None = None, data: object = None
) -> Answer:
    authorization = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    return await client.send(method, path, headers={**authorization, **(headers or {})}, data=data)


async def test_a_link_answers_like_post(client: Client, druid_stand_in: StandIn) -> None:
    posted, linked = await ask(client), await send(client, "GET", link(client))
    assert (linked.status, linked.body) == (200, posted.body)
    first, second = (each.query | {"context": None} for each in druid_stand_in.queries)
    assert first == second


async def test_a_link_names_its_format(client: Client) -> None:
    answer = await send(client, "GET", link(client, format="csv"))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.body == b"start_time,count\r\n2019-01-01T00:00:00.000+02:00,7\r\n"


async def test_a_link_can_be_explained(client: Client, druid_stand_in: StandIn) -> None:
    answer = await send(client, "GET", link(client, explain="true"))
    assert answer.json["report"]["granularity"] == "all"
    assert druid_stand_in.queries == []


async def test_head_of_a_link_has_the_headers_of_get(client: Client) -> None:
    head, get = [await send(client, method, link(client)) for method in ("HEAD", "GET")]
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_query_answers_like_post(client: Client) -> None:
    posted = await ask(client)
    answer = await send(
        client, "QUERY", client.gateway.path(), {"Content-Type": "application/json"}, json.dumps(COUNT).encode()
    )
    assert (answer.status, answer.body) == (200, posted.body)


async def test_query_needs_the_content_type_of_json(client: Client) -> None:
    for content_type in ("text/plain", "application/octet-stream"):
        answer = await send(client, "QUERY", client.gateway.path(), {"Content-Type": content_type}, b"{}")
        assert_problem(answer, 415, "unsupported_media_type")
        assert answer.headers["accept-query"] == '"application/json"'


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "invalid_report"),
        ("?format=csv", "invalid_report"),
        ("?q=", "invalid_json"),
        ("?q={}", "invalid_report"),
        ("?q={}&q={}", "invalid_report"),
        ("?q={}&token=x", "invalid_report"),
        ("?q=%ff", "invalid_json"),
    ],
)
async def test_a_faulty_link_is_400(client: Client, druid_stand_in: StandIn, query: str, code: str) -> None:
    assert_problem(await send(client, "GET", f"{client.gateway.path()}/report{query}"), 400, code)
    assert druid_stand_in.queries == []


async def test_a_post_has_no_report_in_its_path(client: Client) -> None:
    answer = await send(client, "POST", f"{client.gateway.path()}?q={{}}", data=b"{}")
    assert_problem(answer, 400, "invalid_report")
    assert_problem(await send(client, "POST", link(client), data=b"{}"), 405, "method_not_allowed")


async def test_a_link_needs_a_credential(client: Client) -> None:
    assert_problem(await client.send("GET", link(client)), 401, "unauthenticated")
