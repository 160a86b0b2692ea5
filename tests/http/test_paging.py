"""Reports in pages: links to the next page, which never lead to another state of the data."""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pytest
from aiohttp import web

from gateway.web.encoders import FORMATS
from tests.http.asking import COUNT, Client, ask, assert_problem
from tests.http.conftest import Start
from tests.http.stand_in import StandIn
from tests.http.test_links import link, send
from tests.serving import Answer, D, P, T

USERS = [f"user {number:03}" for number in range(25)]
PAGE = COUNT | {
    "group_by": ["user_id"],
    "filters": {"type": "selector", "dimension": "scope", "value": "user"},
    "limit": 10,
    "offset": 0,
}


@dataclass(slots=True)
class Paged:
    """Answers a groupBy of users with a part of its rows, as Druid does, and names the version of the data."""

    version: str | None = "v1"
    asked: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        limit = (await request.json())["limitSpec"]
        offset = limit.get("offset", 0)
        headers = {} if self.version is None else {"ETag": self.version}
        if self.version is not None and request.headers.get("If-None-Match") == self.version:
            return web.Response(status=304)
        rows = [[user, 1] for user in USERS]
        return web.json_response(rows[offset : offset + limit["limit"]], headers=headers)


@pytest.fixture
def druid(druid_stand_in: StandIn) -> Paged:
    paged = Paged()
    druid_stand_in.answer = paged.answer
    return paged


@pytest.fixture
async def paging(start: Start, druid_stand_in: StandIn, druid: Paged) -> Client:  # noqa: ARG001 - it answers
    return await start(druid_stand_in.url, reuse_seconds=0.000001)


def following(answer: Answer) -> str | None:
    """The path of the next page."""
    if "link" not in answer.headers:
        return None
    path, _, relation = answer.headers["link"].partition(">; ")
    assert relation == 'rel="next"'
    return path.removeprefix("<")


async def next_page(client: Client, answer: Answer) -> Answer:
    path = following(answer)
    assert path is not None
    return await send(client, "GET", path)


def users(answer: Answer) -> list[str]:
    return [row[1] for row in answer.data]


async def test_links_lead_from_page_to_page_until_all_rows_were_sent(paging: Client) -> None:
    pages = [await ask(paging, PAGE)]
    while following(pages[-1]) is not None:
        pages.append(await next_page(paging, pages[-1]))
    assert [len(page.data) for page in pages] == [10, 10, 5]
    assert [user for page in pages for user in users(page)] == USERS


async def test_only_a_full_page_has_a_link(paging: Client) -> None:
    assert following(await ask(paging, PAGE | {"limit": 26})) is None
    exact = await ask(paging, PAGE | {"limit": 25})
    assert (await next_page(paging, exact)).data == []
    assert following(await ask(paging, {key: PAGE[key] for key in PAGE if key != "offset"})) is None


def names_in(content: bytes, form: str) -> list[str]:
    match form:
        case "json":
            return [row[1] for row in json.loads(content)["data"]]
        case "ndjson":
            return [json.loads(line)["user_id"] for line in content.splitlines()]
        case "arrow":
            found: list[str] = pa.ipc.open_stream(content).read_all()["user_id"].to_pylist()
            return found
    return [row[1] for row in csv.reader(io.StringIO(content.decode()))][1:]


@pytest.mark.parametrize("form", FORMATS)
async def test_the_next_page_has_the_format_of_the_first(paging: Client, form: str) -> None:
    first = await send(paging, "GET", link(paging, PAGE, format=form))
    second = await next_page(paging, first)
    assert second.headers["content-type"] == first.headers["content-type"]
    assert names_in(first.body, form) + names_in(second.body, form) == USERS[:20]


async def test_the_format_of_accept_is_in_the_link(paging: Client) -> None:
    first = await ask(paging, PAGE, {"Accept": "text/csv"})
    assert names_in((await next_page(paging, first)).body, "csv") == USERS[10:20]


@pytest.mark.parametrize("version", ["v2", None])
async def test_pages_end_when_the_data_changes(paging: Client, druid: Paged, version: str | None) -> None:
    first = await ask(paging, PAGE)
    second = await next_page(paging, first)
    druid.version = version
    for page in (first, second):
        assert_problem(await next_page(paging, page), 409, "data_changed")


async def test_a_page_of_data_without_a_version_must_be_the_only_one(paging: Client, druid: Paged) -> None:
    druid.version = None
    assert_problem(await ask(paging, PAGE), 409, "data_changed")
    assert users(await ask(paging, PAGE | {"limit": 26})) == USERS


async def test_the_link_of_another_report_does_not_continue_this_one(paging: Client, druid: Paged) -> None:
    path = following(await ask(paging, PAGE))
    assert path is not None
    token = path.partition("&page=")[2]
    asked = druid.asked
    for report in (PAGE | {"filters": []}, PAGE | {"limit": 11}, PAGE | {"granularity": "day"}):
        assert_problem(await send(paging, "GET", link(paging, report, page=token)), 409, "data_changed")
    for wrong in ("", "x", token[:-1], token[:-1] + ("A" if token[-1] != "A" else "B"), f"{token}A"):
        assert_problem(await send(paging, "GET", link(paging, PAGE, page=wrong)), 409, "data_changed")
    # Druid is not asked for any of them.
    assert druid.asked == asked
    # The pages of one report have one token, so that they can be requested in any order.
    assert users(await send(paging, "GET", link(paging, PAGE | {"offset": 20}, page=token))) == USERS[20:]


async def test_the_link_of_another_organization_is_useless(paging: Client) -> None:
    path = following(await ask(paging, PAGE))
    assert path is not None
    headers = {"Authorization": f"Token {paging.gateway.tokens[T]}"}
    assert_problem(await paging.send("GET", path, headers=headers), 403, "forbidden")
    assert_problem(await paging.send("GET", path.replace(D, T), headers=headers), 409, "data_changed")
    # The rows about a partner are another tenant's.
    assert_problem(await send(paging, "GET", path.replace(D, P)), 409, "data_changed")
    assert_problem(await paging.send("GET", path), 401, "unauthenticated")


async def test_a_page_is_304_as_long_as_the_data_is_unchanged(paging: Client, druid: Paged) -> None:
    path = following(await ask(paging, PAGE))
    assert path is not None
    second = await send(paging, "GET", path)
    known = {"If-None-Match": second.headers["etag"]}
    assert (await send(paging, "GET", path, known)).status == 304
    druid.version = "v2"
    assert_problem(await send(paging, "GET", path, known), 409, "data_changed")


async def test_head_and_query_have_the_link_of_get(paging: Client) -> None:
    get, head = [await send(paging, method, link(paging, PAGE)) for method in ("GET", "HEAD")]
    body = json.dumps(PAGE).encode()
    query = await send(paging, "QUERY", paging.gateway.path(), {"Content-Type": "application/json"}, body)
    for answer in (get, head, query):
        assert users(await next_page(paging, answer)) == USERS[10:20]


async def test_every_character_of_a_report_survives_in_the_link(paging: Client, druid_stand_in: StandIn) -> None:
    values = ["ä &=?#%+<>\"\\' ;/", "\U0001f600", "{}[]", "1"]
    report = PAGE | {"filters": {"type": "in", "dimension": "user_id", "values": values}}
    second = await next_page(paging, await ask(paging, report))
    assert users(second) == USERS[10:20]
    first, following_one = (
        orjson.dumps(asked.query["filter"], option=orjson.OPT_SORT_KEYS) for asked in druid_stand_in.queries
    )
    assert first == following_one


async def test_all_pages_of_a_relative_interval_are_those_of_one_time(paging: Client, druid_stand_in: StandIn) -> None:
    report = PAGE | {"interval": {"last": "PT2H", "include_current": True}}
    await next_page(paging, await next_page(paging, await ask(paging, report)))
    intervals: list[Any] = [asked.query["intervals"] for asked in druid_stand_in.queries]
    assert len(intervals) == 3
    assert intervals == intervals[:1] * 3


async def test_a_report_that_does_not_fit_in_a_link_has_no_pages(paging: Client, druid: Paged) -> None:
    values = [f"an id that is rather long: {number}" for number in range(200)]
    report = PAGE | {"filters": {"type": "in", "dimension": "user_id", "values": values}}
    assert_problem(await ask(paging, report), 400, "limit_exceeded")
    assert druid.asked == 0


async def test_the_parameter_page_needs_a_report_with_offset(paging: Client) -> None:
    assert_problem(await send(paging, "GET", link(paging, COUNT, page="x")), 400, "invalid_report")
    post = await send(paging, "POST", f"{paging.gateway.path()}?page=x", data=json.dumps(PAGE).encode())
    assert_problem(post, 400, "invalid_report")


async def test_a_page_can_be_explained(paging: Client) -> None:
    explained = await send(paging, "GET", link(paging, PAGE | {"offset": 20}, explain="true"))
    assert explained.json["report"]["offset"] == 20
    assert explained.json["queries"]["report"]["limitSpec"]["offset"] == 20
    assert "link" not in explained.headers
