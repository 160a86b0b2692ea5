"""Wrong requests and their responses; none of them reaches Druid."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.accounts.store import Accounts
from tests.http.asking import COUNT, Client, assert_problem
from tests.http.conftest import Start
from tests.http.stand_in import StandIn
from tests.serving import Answer, D, P, T

UNKNOWN = f"gwt_aaaaaaaa_{'a' * 43}"


@pytest.fixture(autouse=True)
async def nothing_reaches_druid(druid_stand_in: StandIn) -> AsyncIterator[None]:
    yield
    assert druid_stand_in.queries == []


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Basic dXNlcjpwYXNzd29yZA==")],
        [("Authorization", "Token")],
        [("Authorization", "Token not-a-token")],
        [("Authorization", f"Token {UNKNOWN}")],
        [("Authorization", f"Bearer {UNKNOWN}")],
        [("Authorization", f"Token {UNKNOWN}"), ("Authorization", f"Token {UNKNOWN}")],
    ],
)
async def test_an_unauthenticated_request_is_401(client: Client, headers: list[tuple[str, str]]) -> None:
    url = client.gateway.path()
    async with client.session.post(url, json=COUNT, headers=headers) as response:
        answer = Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, await response.read())
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Token")


async def test_a_valid_token_beside_another_header_is_401(client: Client) -> None:
    headers = [("Authorization", f"Token {client.gateway.tokens[D]}"), ("Authorization", "Basic eA==")]
    async with client.session.post(client.gateway.path(), json=COUNT, headers=headers) as response:
        assert response.status == 401


@pytest.mark.parametrize("organization", ["00000000-0000-4000-8000-000000000000", "1", "%2e%2e", f"{D}x"])
async def test_an_unknown_organization_is_404(client: Client, organization: str) -> None:
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    answer = await client.send("POST", client.gateway.path(organization), headers=headers, data=json.dumps(COUNT))
    assert_problem(answer, 404, "not_found")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/druid/v2", "described at /api/reporting/v1/openapi.json."),
        ("/api/reporting/v1/org", "Did you mean /api/reporting/v1/orgs?"),
        (f"/api/reporting/v1/orgs/{D}/chat_session", "/api/reporting/v1/orgs/<organization_id>/chat_sessions?"),
        (f"/api/reporting/v1/orgs/{D}/invoices", "Data sets: chat_sessions."),
        (f"/api/reporting/v1/orgs/{D}/chat_sessions//", "/api/reporting/v1/orgs/<organization_id>/chat_sessions?"),
        ("/" + "x" * 8_000, "Data sets: chat_sessions."),
    ],
)
async def test_an_unknown_path_is_404_with_the_data_sets_and_the_nearest_path(
    client: Client, path: str, hint: str
) -> None:
    answer = await client.send("POST", path, data=b"{}")
    assert_problem(answer, 404, "not_found")
    assert hint in answer.json["detail"]
    assert "Data sets: chat_sessions." in answer.json["detail"]


@pytest.mark.parametrize(("caller", "organization"), [(D, T), (P, D), (T, P)])
async def test_a_caller_without_a_partnership_is_403(client: Client, caller: str, organization: str) -> None:
    answer = await client.post(organization=organization, token=client.gateway.tokens[caller])
    assert_problem(answer, 403, "forbidden")


async def test_a_user_without_the_permission_is_403(client: Client) -> None:
    async with Accounts(client.gateway.settings) as accounts, accounts.administration() as administration:
        user = await administration.users.create("clerk@example.test", D)
        token = (await administration.tokens.create(user.id, "clerk")).text
    assert_problem(await client.post(token=token), 403, "forbidden")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_an_unsupported_method_is_405_with_the_allowed_ones(client: Client, method: str) -> None:
    answer = await client.send(method, client.gateway.path())
    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(",")) == {"GET", "HEAD", "OPTIONS", "POST", "QUERY"}
    assert answer.json["detail"] == "This path supports the methods GET, HEAD, OPTIONS, POST, QUERY."


async def test_an_api_token_as_bearer_is_401_with_the_right_form(client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.gateway.tokens[D]}"}
    answer = await client.send("POST", client.gateway.path(), headers=headers, data=json.dumps(COUNT))
    assert_problem(answer, 401, "unauthenticated")
    assert "'Token <key>'" in answer.json["detail"]


async def test_a_too_large_body_is_413(client: Client) -> None:
    padded = COUNT | {"filters": {"type": "selector", "dimension": "team_id", "value": "x" * 300_000}}
    assert_problem(await client.post(padded), 413, "request_entity_too_large")


async def test_a_too_large_body_of_unknown_length_is_413(client: Client) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    answer = await client.send("POST", client.gateway.path(), headers=headers, data=endless())
    assert_problem(answer, 413, "request_entity_too_large")


async def test_a_body_that_does_not_arrive_is_408(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, request_timeout=0.3)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)
        yield b"}"

    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    async with asyncio.timeout(5):
        answer = await client.send("POST", client.gateway.path(), headers=headers, data=slow())
    assert_problem(answer, 408, "request_timeout")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"interval": 1, "interval": 2}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'"\\ud800"',
        b"[" * 9000,
    ],
)
async def test_invalid_json_is_400(client: Client, body: bytes) -> None:
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    answer = await client.send("POST", client.gateway.path(), headers=headers, data=body)
    assert_problem(answer, 400, "invalid_json")


async def test_an_invalid_report_is_400_with_every_problem(client: Client) -> None:
    body = {
        "interval": {"start": "2019-01-02", "end": "2019-01-01", "time_zone": "Europe/Helsinky"},
        "aggregations": [{"type": "sum", "fields": ["sales", "scope"]}],
        "filters": {"type": "selector", "dimension": "skope", "value": "org"},
        "grouby_by": [],
    }
    answer = await client.post(body)
    assert_problem(answer, 400, "invalid_report")
    assert {each["pointer"] for each in answer.json["errors"]} == {
        "/interval/time_zone",
        "/aggregations/0/fields/1",
        "/filters/dimension",
        "/grouby_by",
    }


async def test_a_too_large_report_is_400_with_the_limit(client: Client) -> None:
    answer = await client.post(COUNT | {"interval": YEAR, "granularity": "minute"})
    assert_problem(answer, 400, "limit_exceeded")
    assert str(client.gateway.settings.max_buckets) in answer.json["detail"]


YEAR = {"start": "2019-01-01", "end": "2020-01-01"}


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'""', b"{}"])
async def test_json_that_is_no_report_is_400(client: Client, body: bytes) -> None:
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    answer = await client.send("POST", client.gateway.path(), headers=headers, data=body)
    assert_problem(answer, 400, "invalid_report")


async def test_an_unsupported_expectation_is_417(client: Client) -> None:
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}", "Expect": "a miracle"}
    answer = await client.send("POST", client.gateway.path(), headers=headers, data=b"{}")
    assert_problem(answer, 417, "expectation_failed")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"NOT HTTP AT ALL\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBroken header\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    ],
)
async def test_a_malformed_request_is_400_and_closes_the_connection(client: Client, request_bytes: bytes) -> None:
    host, port = client.gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_bytes)
    async with asyncio.timeout(5):
        told = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["code"] == "bad_request"
    assert b"aiohttp" not in told


async def test_an_error_keeps_the_connection_open(client: Client) -> None:
    assert (await client.post(token=UNKNOWN)).status == 401
    assert (await client.post([])).status == 400
    assert isinstance(client.session.connector, aiohttp.TCPConnector)
    assert len(client.session.connector._conns) == 1
