"""Each kind of credential with each kind of organization, over a socket: the tenant, or the error."""

import asyncio
import base64
import hmac
import http.client
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from anyio.from_thread import start_blocking_portal
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from gateway.accounts import api_tokens as tokens
from gateway.accounts.administration import Administration
from gateway.accounts.store import Accounts
from gateway.auth.settings import OAuthSettings
from tests.isolation.stand_in import StandIn, standing_in
from tests.serving import D, Gateway, P, T, serving, settings_for

ONE_WAY = "0e0c7a1e-7f0b-4b1e-8a55-0d9c5f0e2a12"
"""D is its partner, and it is not D's partner."""
FORMER = "0f0c7a1e-7f0b-4b1e-8a55-0d9c5f0e2a13"
CLOSED = "1c0c7a1e-7f0b-4b1e-8a55-0d9c5f0e2a14"
"""A deactivated organization, a partner of D."""
UNKNOWN = "1f0c7a1e-7f0b-4b1e-8a55-0d9c5f0e2a15"

BODY = {"interval": {"start": "2019-01-01", "end": "2019-01-02"}, "aggregations": [{"type": "count"}]}
ISSUER, AUDIENCE = "https://login.example.com/", "https://reports.example.com"
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class World:
    """A running gateway, the stand-in for Druid, and the tokens by name."""

    gateway: Gateway
    druid: StandIn
    tokens: Mapping[str, str]


async def _fill(administration: Administration, given: Mapping[str, str]) -> Mapping[str, str]:
    for organization in (ONE_WAY, FORMER, CLOSED):
        await administration.organizations.create(f"Organization {organization[:8]}", organization)
    await administration.partnerships.create(ONE_WAY, D)
    await administration.partnerships.create(D, FORMER, active=False)
    await administration.partnerships.create(D, CLOSED)
    ann, powerless, gone, closed = (f"{name}@example.com" for name in ("ann", "powerless", "gone", "closed"))
    await administration.users.create(ann, D, ["reports"], subject="ann")
    await administration.users.create(powerless, D, subject="powerless")
    await administration.users.create(gone, D, ["reports"], subject="gone", active=False)
    await administration.users.create(closed, CLOSED, ["reports"], subject="closed")
    made = {"of D": given[D], "of the partner": given[P], "of a stranger": given[T]}
    for name, user in (("revoked", ann), ("powerless", powerless), ("user gone", gone), ("organization gone", closed)):
        made[name] = (await administration.tokens.create(user, name)).text
    soon = datetime.now(UTC) + timedelta(seconds=1)
    made["expired"] = (await administration.tokens.create(ann, "expired", soon)).text
    await administration.tokens.revoke(made["revoked"][4:12])
    await administration.organizations.set_active(CLOSED, active=False)
    return made


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[World]:
    jwks = folder / "jwks.json"
    jwks.write_text(
        json.dumps({"keys": [RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "rsa", "use": "sig"}]})
    )
    oauth = OAuthSettings(issuer=ISSUER, audience=AUDIENCE, jwks=str(jwks))
    async with standing_in() as druid:
        settings = settings_for(
            folder, druid.url, oauth=oauth, failed_authentications_per_minute=10**6, reuse_seconds=0.0
        )
        async with serving(settings) as gateway:
            async with Accounts(settings) as accounts, accounts.administration() as administration:
                made = await _fill(administration, gateway.tokens)
            # Until one of the tokens has expired.
            await asyncio.sleep(1)
            yield World(gateway, druid, made)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_world(tmp_path_factory.mktemp("matrix"))) as world,
    ):
        yield world


def access_token(key: Any = KEY, algorithm: str = "RS256", **changes: Any) -> str:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "scope": "reports", "iat": now, "exp": now + 600}
    return "Bearer " + jwt.encode(usual | changes, key, algorithm=algorithm, headers={"kid": "rsa"})


def by_hand(header: Mapping[str, str], sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    def part(raw: bytes) -> bytes:
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    claims = access_token().split(".")[1].encode()
    message = part(json.dumps(header).encode()) + b"." + claims
    return "Bearer " + (message + b"." + part(sign(message))).decode()


Headers = Callable[[World], list[str]]


def token(name: str) -> Headers:
    return lambda world: [f"Token {world.tokens[name]}"]


GOOD = {"of D": token("of D"), "JWT": lambda _: [access_token()]}
POWERLESS: dict[str, Headers] = {
    "without the permission": token("powerless"),
    "JWT of a user without the permission": lambda _: [access_token(sub="powerless")],
    "JWT without the permission": lambda _: [access_token(scope="openid")],
}
REFUSED: dict[str, Headers] = {
    "none": lambda _: [],
    "empty": lambda _: [""],
    "garbage": lambda _: ["%00 g\xe4rbage"],
    "unknown scheme": lambda _: ["Basic YW5uOnNlY3JldA=="],
    "scheme without key": lambda _: ["Token"],
    "key without scheme": lambda world: [world.tokens["of D"]],
    "another scheme's key": lambda world: [f"Bearer {world.tokens['of D']}"],
    "unknown token": lambda _: [f"Token {tokens.generate().text}"],
    "a right prefix with a wrong secret": lambda world: [f"Token {world.tokens['of D'][:13]}{'A' * 43}"],
    "cut short": lambda world: [f"Token {world.tokens['of D'][:-1]}"],
    "expired": token("expired"),
    "revoked": token("revoked"),
    "deactivated user": token("user gone"),
    "deactivated organization": token("organization gone"),
    "two headers": lambda world: [f"Token {world.tokens['of D']}"] * 2,
    "two different headers": lambda world: [f"Token {world.tokens['of D']}", access_token()],
    "two keys in one header": lambda world: [f"Token {world.tokens['of D']}, Token {world.tokens['of D']}"],
    "JWT with alg none": lambda _: [by_hand({"alg": "none", "kid": "rsa"})],
    "JWT with the public key as a shared secret": lambda _: [
        by_hand({"alg": "HS256", "kid": "rsa"}, lambda message: hmac.digest(PEM, message, "sha256"))
    ],
    "JWT of another key": lambda _: [access_token(OTHER_KEY)],
    "JWT of an algorithm not in the settings": lambda _: [access_token(algorithm="RS512")],
    "JWT for another audience": lambda _: [access_token(aud="https://elsewhere.example.com")],
    "JWT of another issuer": lambda _: [access_token(iss="https://login.example.org/")],
    "JWT expired": lambda _: [access_token(exp=int(time.time()) - 60)],
    "JWT not yet valid": lambda _: [access_token(nbf=int(time.time()) + 60)],
    "JWT of an unknown user": lambda _: [access_token(sub="eve")],
    "JWT of a deactivated user": lambda _: [access_token(sub="gone")],
    "JWT of a deactivated organization": lambda _: [access_token(sub="closed")],
}

OWN: dict[str, Any] = {D: (D, None), D.upper(): (D, None), P: (D, P)}
NO_ACCESS = {ONE_WAY: 403, FORMER: 403, T: 403}
ABSENT = {CLOSED: 404, UNKNOWN: 404, "malformed": 404, f"{D}0": 404, "%2e%2e": 404, f"{D}%00": 404}
ORGANIZATIONS = {**OWN, **NO_ACCESS, **ABSENT}

Outcome = int | tuple[str, str | None]
"""A status, or the owner and the partner in the query that Druid receives."""
MATRIX: list[tuple[str, Headers, str, Outcome]] = [
    *((name, of, about, outcome) for name, of in GOOD.items() for about, outcome in ORGANIZATIONS.items()),
    *(
        (name, of, about, 404 if about in ABSENT else 403)
        for name, of in POWERLESS.items()
        for about in ORGANIZATIONS
    ),
    *((name, of, about, 401) for name, of in REFUSED.items() for about in ORGANIZATIONS),
    # A partnership goes one way: P has no access to D.
    *(("of the partner", token("of the partner"), about, outcome) for about, outcome in ((P, (P, None)), (D, 403))),
    *(("of a stranger", token("of a stranger"), about, outcome) for about, outcome in ((T, (T, None)), (D, 403))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "about", "outcome"),
    [each[1:] for each in MATRIX],
    ids=[f"{name} - {about}" for name, _, about, _ in MATRIX],
)
def test_every_credential_meets_every_organization(
    world: World, headers: Headers, about: str, outcome: Outcome
) -> None:
    before = len(world.druid.queries)
    # Twice: the cached result equals that of the database.
    for _ in range(2):
        status, got, body = _ask(world, headers(world), about)
        if isinstance(outcome, tuple):
            assert status == 200, body
            owner, partner = outcome
            expected = [{"type": "selector", "dimension": "owner_organization_id", "value": owner}]
            if partner is not None:
                expected.append({"type": "selector", "dimension": "involved_organization_ids", "value": partner})
            assert world.druid.queries[-1]["filter"] == {"type": "and", "fields": expected}
        else:
            assert status == outcome, body
            assert json.loads(body)["status"] == outcome
            assert ("www-authenticate" in got) == (outcome == 401)
    asked = len(world.druid.queries) - before
    assert asked == (2 if isinstance(outcome, tuple) else 0)


def _ask(world: World, authorization: list[str], about: str) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(world.gateway.url).netloc, timeout=30)
    content = json.dumps(BODY).encode()
    try:
        connection.putrequest("POST", world.gateway.path(about))
        connection.putheader("Content-Length", str(len(content)))
        for value in authorization:
            connection.putheader("Authorization", value)
        connection.endheaders(content)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()
