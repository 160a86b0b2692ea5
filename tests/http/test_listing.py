"""The organizations and data sets that a credential can use, and the forms of their paths."""

import json

from gateway.accounts.store import Accounts
from tests.http.asking import COUNT, Client, assert_problem
from tests.serving import D, P, T

INDEX, ORGANIZATIONS = "/api/reporting/v1", "/api/reporting/v1/orgs"


def entry(organization: str, *, is_partner: bool = False) -> dict[str, object]:
    path = f"/api/reporting/v1/orgs/{organization}/chat_sessions"
    return {
        "id": organization,
        "name": f"Organization {organization[:8]}",
        "is_partner": is_partner,
        "data_sets": [{"name": "chat_sessions", "path": path}],
    }


async def listed(client: Client, organization: str, path: str = ORGANIZATIONS) -> object:
    answer = await client.send("GET", path, headers={"Authorization": f"Token {client.gateway.tokens[organization]}"})
    assert answer.status == 200
    assert "ratelimit" in answer.headers
    return answer.json["organizations"]


async def test_a_caller_sees_its_own_organization_and_its_partners(client: Client) -> None:
    assert await listed(client, D) == [entry(D), entry(P, is_partner=True)]
    # A partnership has one direction.
    assert await listed(client, P) == [entry(P)]
    assert await listed(client, T) == [entry(T)]
    assert await listed(client, D, INDEX) == await listed(client, D)


async def test_an_inactive_partnership_is_not_listed(client: Client) -> None:
    async with Accounts(client.gateway.settings) as accounts, accounts.administration() as administration:
        await administration.partnerships.set_active(D, P, active=False)
    assert await listed(client, D) == [entry(D)]


async def test_the_index_names_the_data_sets_and_the_document(client: Client) -> None:
    answer = await client.send("GET", INDEX, headers={"Authorization": f"Token {client.gateway.tokens[D]}"})
    assert answer.json["openapi"] == "/api/reporting/v1/openapi.json"
    assert [each["name"] for each in answer.json["data_sets"]] == ["chat_sessions"]


async def test_a_list_needs_a_credential_and_the_permission(client: Client) -> None:
    for path in (INDEX, ORGANIZATIONS):
        assert_problem(await client.send("GET", path), 401, "unauthenticated")
    async with Accounts(client.gateway.settings) as accounts, accounts.administration() as administration:
        user = await administration.users.create("clerk@example.test", D)
        token = (await administration.tokens.create(user.id, "clerk")).text
    answer = await client.send("GET", ORGANIZATIONS, headers={"Authorization": f"Token {token}"})
    assert_problem(answer, 403, "forbidden")


async def test_a_slash_at_the_end_of_a_path_makes_no_difference(client: Client) -> None:
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    answer = await client.send("POST", f"{client.gateway.path()}/", headers=headers, data=json.dumps(COUNT))
    assert answer.status == 200


async def test_head_responds_like_get_without_a_body(client: Client) -> None:
    for path in ("/api/reporting/v1", "/api/reporting/v1/openapi.json"):
        headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
        answers = [await client.send(method, path, headers=headers) for method in ("HEAD", "GET")]
        assert [answer.status for answer in answers] == [200, 200]
        assert answers[0].body == b""
        assert answers[0].headers["content-length"] == answers[1].headers["content-length"]
