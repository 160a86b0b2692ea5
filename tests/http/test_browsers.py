"""Web pages of other origins, and the security headers."""

import pytest

from tests.http.asking import COUNT, Client, ask
from tests.http.conftest import Start
from tests.http.stand_in import StandIn
from tests.serving import D

PAGE = "https://dashboard.example"
OTHER = "https://elsewhere.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}
PATHS = ("/api/reporting/v1", "/api/reporting/v1/orgs", "/api/reporting/v1/openapi.json")


async def test_a_page_of_any_origin_may_read_responses_and_errors_by_default(client: Client) -> None:
    for answer in (
        await ask(client, COUNT, {"Origin": PAGE}),
        await ask(client, {}, {"Origin": PAGE}),
        await client.send("GET", "/api/reporting/v1", headers={"Origin": PAGE}),
        await client.send("GET", "/nowhere", headers={"Origin": PAGE}),
    ):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_preflight_request_needs_no_credential_and_counts_for_nobody(client: Client) -> None:
    for path in (client.gateway.path(), *PATHS):
        answer = await client.send("OPTIONS", path, headers=PREFLIGHT)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert set(answer.headers["access-control-allow-methods"].split(", ")) >= {"GET", "HEAD", "OPTIONS"}
        assert {"Authorization", "Content-Type"} <= set(answer.headers["access-control-allow-headers"].split(", "))
        assert answer.headers["access-control-max-age"] == "7200"
        assert "ratelimit" not in answer.headers


async def test_options_without_an_origin_lists_the_methods(client: Client) -> None:
    answer = await client.send("OPTIONS", client.gateway.path())
    assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST, QUERY")
    assert "access-control-allow-methods" not in answer.headers


async def test_only_listed_origins_may_read_responses(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, cors_origins=(PAGE,))
    for method, headers in (("OPTIONS", PREFLIGHT), ("GET", {})):
        answer = await client.send(method, "/api/reporting/v1", headers={**headers, "Origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["vary"] == "Origin"
        answer = await client.send(method, "/api/reporting/v1", headers={**headers, "Origin": OTHER})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"
    assert (await ask(client, COUNT, {"Origin": PAGE})).headers["vary"] == "Accept, Accept-Encoding, Origin"


async def test_an_empty_list_allows_no_origin(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, cors_origins=())
    answer = await ask(client, COUNT, {"Origin": PAGE})
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", *PATHS])
async def test_every_response_has_the_security_headers(client: Client, path: str) -> None:
    answer = await client.send("GET", path, headers={"Authorization": f"Token {client.gateway.tokens[D]}"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["server"] == "gateway"
