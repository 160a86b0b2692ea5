"""Conditional requests: 304 for data that has not changed, and nothing else."""

import json
from collections.abc import Mapping

import aiohttp
import pytest

from tests.http.asking import COUNT, Client
from tests.http.conftest import Start
from tests.http.stand_in import StandIn
from tests.http.test_links import link, send
from tests.http.test_reuse import Versioned
from tests.serving import Answer, D, P

MANY = COUNT | {"interval": {**COUNT["interval"], "end": "2019-03-01"}, "granularity": "hour"}


@pytest.fixture
def druid(druid_stand_in: StandIn) -> Versioned:
    versioned = Versioned()
    druid_stand_in.answer = versioned.answer
    return versioned


@pytest.fixture
async def revalidating(start: Start, druid_stand_in: StandIn, druid: Versioned) -> Client:  # noqa: ARG001 - it answers
    """A gateway that lets Druid confirm every stored response."""
    return await start(druid_stand_in.url, reuse_seconds=0.000001)


async def again(client: Client, answer: Answer, **parameters: str) -> Answer:
    return await send(client, "GET", link(client, **parameters), {"If-None-Match": answer.headers["etag"]})


async def test_an_unchanged_link_is_304_without_being_computed(revalidating: Client, druid: Versioned) -> None:
    first = await send(revalidating, "GET", link(revalidating))
    assert first.status == 200
    assert first.headers["cache-control"] == "private, no-cache"
    second = await again(revalidating, first)
    assert (second.status, second.body) == (304, b"")
    for name in ("etag", "cache-control", "vary"):
        assert second.headers[name] == first.headers[name]
    assert "x-request-id" in second.headers
    # Druid confirmed its response and computed nothing.
    assert druid.asked == ["none", "v1"]


async def test_a_link_whose_data_has_changed_is_200_with_another_etag(revalidating: Client, druid: Versioned) -> None:
    first = await send(revalidating, "GET", link(revalidating))
    druid.version = "v2"
    second = await again(revalidating, first)
    assert second.status == 200
    assert second.headers["etag"] != first.headers["etag"]
    assert second.data != first.data


async def test_a_response_with_rows_of_a_stream_has_no_etag(revalidating: Client, druid: Versioned) -> None:
    first = await send(revalidating, "GET", link(revalidating))
    druid.version = None
    second = await again(revalidating, first)
    assert second.status == 200
    assert "etag" not in second.headers
    assert second.headers["cache-control"] == "no-store"


async def test_every_format_report_and_tenant_has_its_own_etag(revalidating: Client) -> None:
    partner = link(revalidating).replace(D, P)
    paths = [
        link(revalidating),
        link(revalidating, COUNT | {"filters": {"type": "selector", "dimension": "scope", "value": "org"}}),
        link(revalidating, COUNT | {"totals": True}),
        # What the gateway does with Druid's rows.
        link(revalidating, COUNT | {"limit": 1}),
        link(revalidating, COUNT | {"order_by": [{"column": "count"}]}),
        link(revalidating, COUNT | {"having": [{"type": "greaterThan", "metric": "count", "value": 1}]}),
        *(link(revalidating, format=name) for name in ("csv", "spreadsheet", "ndjson", "arrow")),
        partner,
    ]
    tags = {(await send(revalidating, "GET", path)).headers["etag"] for path in paths}
    assert len(tags) == len(paths)


async def test_head_and_query_have_the_etag_of_get(revalidating: Client) -> None:
    get, head = [await send(revalidating, method, link(revalidating)) for method in ("GET", "HEAD")]
    assert head.headers["etag"] == get.headers["etag"]
    headers = {"Content-Type": "application/json", "If-None-Match": get.headers["etag"]}
    query = await send(revalidating, "QUERY", revalidating.gateway.path(), headers, json.dumps(COUNT).encode())
    assert query.status == 304


async def test_post_has_no_etag_and_is_never_304(revalidating: Client) -> None:
    get = await send(revalidating, "GET", link(revalidating))
    for tag in (get.headers["etag"], "*"):
        headers = {"If-None-Match": tag}
        post = await send(revalidating, "POST", revalidating.gateway.path(), headers, json.dumps(COUNT).encode())
        assert post.status == 200
        assert "etag" not in post.headers


@pytest.mark.parametrize(
    "form", ["{}", '"{}-x; evil=1"', "{}-gzip", '"{}-gzip', '"{}-br"', '""{}""', '"{} "', '"{}-"', '"{}-gzip-gzip"']
)
async def test_a_tag_that_the_gateway_does_not_make_is_200(revalidating: Client, form: str) -> None:
    first = await send(revalidating, "GET", link(revalidating))
    tag = form.format(first.headers["etag"].strip('"'))
    again = await send(revalidating, "GET", link(revalidating), {"If-None-Match": tag})
    assert (again.status, again.headers["etag"]) == (200, first.headers["etag"])


@pytest.mark.parametrize(("form", "status"), [("W/{}", 304), ('"x", {}', 304), ("*", 304), ('"x"', 200), ("", 200)])
async def test_if_none_match_is_a_list_of_tags(revalidating: Client, form: str, status: int) -> None:
    first = await send(revalidating, "GET", link(revalidating))
    tag = form.format(first.headers["etag"])
    assert (await send(revalidating, "GET", link(revalidating), {"If-None-Match": tag})).status == status


async def raw(client: Client, headers: Mapping[str, str]) -> tuple[int, str]:
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}", **headers}
    async with (
        aiohttp.ClientSession(client.gateway.url, auto_decompress=False) as session,
        session.get(link(client, MANY), headers=headers) as response,
    ):
        return response.status, response.headers["ETag"]


async def test_each_coding_has_an_etag_of_its_own(revalidating: Client, druid: Versioned) -> None:
    assert druid.version
    tags = [await raw(revalidating, {"Accept-Encoding": coding}) for coding in ("identity", "gzip", "zstd")]
    assert [status for status, _ in tags] == [200, 200, 200]
    assert len({tag for _, tag in tags}) == 3
    for _, tag in tags:
        assert await raw(revalidating, {"Accept-Encoding": "gzip", "If-None-Match": tag}) == (304, tag)


async def test_a_link_of_another_organization_is_never_304(revalidating: Client) -> None:
    first = await send(revalidating, "GET", link(revalidating))
    headers = {"Authorization": f"Token {revalidating.gateway.tokens[P]}", "If-None-Match": first.headers["etag"]}
    assert (await revalidating.send("GET", link(revalidating), headers=headers)).status == 403
