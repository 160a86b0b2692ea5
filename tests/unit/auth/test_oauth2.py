"""Access tokens of an OAuth2 provider: real keys, real signatures, a real JWKS server on loopback."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts
from gateway.auth.authenticator import Authenticator
from gateway.auth.settings import OAuthSettings
from gateway.errors import AccountsUnavailable, Unauthenticated
from gateway.tenancy.principal import Principal
from tests.unit.auth.oauth2_provider import (
    AUDIENCE,
    EC,
    EC384,
    ED,
    ISSUER,
    OTHER_RSA,
    RSA,
    SHORT_RSA,
    Key,
    Provider,
    by_hand,
    claims,
    oauth_settings,
    public,
    signed,
)

OWN = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"


@pytest.fixture
def oauth(provider: Provider) -> OAuthSettings:
    return oauth_settings(provider.url)


@pytest.fixture
def settings(tmp_path: Path) -> AccountSettings:
    return AccountSettings(
        database_url=SecretStr(f"sqlite:///{tmp_path}/accounts.db"), token_secret=SecretStr("s" * 32)
    )


@pytest.fixture
async def accounts(settings: AccountSettings) -> AsyncIterator[Accounts]:
    async with Accounts(settings) as accounts:
        await accounts.migrate()
        async with accounts.administration() as administration:
            await administration.organizations.create("own", OWN)
            await administration.users.create("ann@example.com", OWN, ["reports"], subject="ann")
            await administration.users.create("powerless@example.com", OWN, subject="powerless")
            await administration.users.create("gone@example.com", OWN, ["reports"], subject="gone", active=False)
        yield accounts


Login = Callable[[str], Any]


@pytest.fixture
async def login(oauth: OAuthSettings, accounts: Accounts) -> AsyncIterator[Login]:
    async with Authenticator(oauth, accounts) as authenticator:

        async def login(token: str) -> Principal:
            return await authenticator.authenticate([f"Bearer {token}"])

        yield login


@pytest.mark.parametrize(
    ("key", "key_id", "algorithm"),
    [(RSA, "rsa", "RS256"), (RSA, "rsa", "PS256"), (EC, "ec", "ES256"), (ED, "ed", "EdDSA")],
)
async def test_a_token_signed_with_a_configured_algorithm_is_accepted(
    login: Login, key: Key, key_id: str, algorithm: str
) -> None:
    principal = await login(signed(key, algorithm, {"kid": key_id}))
    assert (principal.organization_id, principal.permissions) == (OWN, {"reports"})
    assert principal.credential == "jwt:ann"


@pytest.mark.parametrize(
    "more",
    [
        {"aud": ["https://elsewhere.example.com", AUDIENCE]},
        {"scope": ["reports"]},
        {"exp": int(time.time()) - 1},  # within the leeway when the test begins, as below
        {"nbf": int(time.time()) + 25},
        {"header": {"typ": "at+jwt"}},
        {"header": {"typ": "application/at+JWT"}},
    ],
)
async def test_other_valid_tokens_are_accepted(login: Login, more: dict[str, Any]) -> None:
    if "exp" in more:
        more = {"exp": int(time.time()) - 20}
    if "nbf" in more:
        more = {"nbf": int(time.time()) + 20}
    assert (await login(signed(**more))).permissions == {"reports"}


PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HOUR = 3600
REFUSED: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: by_hand({"alg": "none", "kid": "rsa"}, claims()),
    "no algorithm, spelled otherwise": lambda: by_hand({"alg": "nOnE", "kid": "rsa"}, claims()),
    "algorithm left out": lambda: by_hand({"kid": "rsa"}, claims()),
    "algorithm that is no text": lambda: by_hand({"alg": ["RS256"], "kid": "rsa"}, claims()),
    "the public key as a shared secret": lambda: by_hand(
        {"alg": "HS256", "kid": "rsa"}, claims(), lambda message: hmac.digest(PEM, message, "sha256")
    ),
    "a shared secret of the key set": lambda: by_hand(
        {"alg": "HS256", "kid": "shared"},
        claims(),
        lambda message: hmac.digest(b"secretsecretsecretsecretsecret", message, hashlib.sha256),
    ),
    "an algorithm not in the settings": lambda: signed(EC384, "ES384", {"kid": "ec384"}),
    "another algorithm of the same key": lambda: signed(RSA, "RS512"),
    "another key's id": lambda: signed(RSA, "RS256", {"kid": "ec"}),
    "another key": lambda: signed(OTHER_RSA),
    "a key for encryption": lambda: signed(OTHER_RSA, "RS256", {"kid": "for encryption"}),
    "a key that is too short": lambda: by_hand(
        {"alg": "RS256", "kid": "short"},
        claims(),
        lambda message: SHORT_RSA.sign(message, PKCS1v15(), SHA256()),
    ),
    "no key id": lambda: jwt.encode(claims(), RSA, algorithm="RS256"),
    "a key id that is no text": lambda: by_hand({"alg": "RS256", "kid": 1}, claims()),
    "an unknown key id": lambda: signed(header={"kid": "invented"}),
    "a key of its own": lambda: signed(OTHER_RSA, "RS256", {"kid": "x", "jwk": public(OTHER_RSA, "x")}),
    "an unknown critical header": lambda: signed(header={"crit": ["x"], "x": 1}),
    "another type": lambda: signed(header={"typ": "logout+jwt"}),
    "a type that is no text": lambda: signed(header={"typ": 1}),
    "another audience": lambda: signed(aud="https://elsewhere.example.com"),
    "no audience": lambda: signed(aud=None),
    "a longer audience": lambda: signed(aud=AUDIENCE + "/x"),
    "another issuer": lambda: signed(iss="https://login.example.org/"),
    "no issuer": lambda: signed(iss=None),
    "a shorter issuer": lambda: signed(iss=ISSUER[:-1]),
    "expired": lambda: signed(exp=int(time.time()) - 31),
    "long expired": lambda: signed(exp=int(time.time()) - HOUR),
    "no expiry": lambda: signed(exp=None),
    "an expiry that is no number": lambda: signed(exp="tomorrow"),
    "an endless expiry": lambda: signed(exp=float("inf")),
    "not yet valid": lambda: signed(nbf=int(time.time()) + 60),
    "issued in the future": lambda: signed(iat=int(time.time()) + 60),
    "no user": lambda: signed(sub=None),
    "an empty user": lambda: signed(sub=""),
    "an unknown user": lambda: signed(sub="eve"),
    "a deactivated user": lambda: signed(sub="gone"),
    "a user with a NUL": lambda: signed(sub="ann\x00"),
    "a user of half a surrogate pair": lambda: signed(sub="\ud800"),
    "claims that are a list": lambda: by_hand({"alg": "RS256", "kid": "rsa"}, [1]),
    "a header that is a list": lambda: by_hand([1], claims()),
    "a deep header": lambda: base64.urlsafe_b64encode(b"[" * 3000).decode().rstrip("=") + ".e30.AA",
    "altered claims": lambda: ".".join(
        by_hand({}, claims(sub="gone")).split(".")[1] if part == 1 else text
        for part, text in enumerate(signed().split("."))
    ),
    "no signature": lambda: signed().rsplit(".", 1)[0] + ".",
    "two parts": lambda: signed().rsplit(".", 1)[0],
    "five parts": lambda: "a.b.c.d.e",
    "garbage": lambda: "garbage",
    "dots": lambda: "...",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_any_other_token_is_rejected_with_a_challenge(login: Login, name: str) -> None:
    for _ in range(2):
        with pytest.raises(Unauthenticated) as refused:
            await login(REFUSED[name]())
        challenge = refused.value.headers["WWW-Authenticate"]
        assert challenge == 'Bearer realm="reporting", error="invalid_token"'


async def test_an_api_token_sent_as_an_access_token_is_rejected_with_the_right_form(login: Login) -> None:
    with pytest.raises(Unauthenticated, match="Send an API token as 'Token <key>'") as refused:
        await login("gwt_aaaaaaaa_" + "A" * 43)
    assert refused.value.headers["WWW-Authenticate"] == 'Token realm="reporting", Bearer realm="reporting"'


async def test_a_permission_is_granted_only_by_both_the_token_and_the_account(login: Login) -> None:
    assert (await login(signed(sub="powerless"))).permissions == frozenset()
    for scope in ("openid", "", None, 7, {"reports": True}, [["reports"], None]):
        assert (await login(signed(scope=scope))).permissions == frozenset()


async def test_the_claims_with_user_and_permissions_are_configurable(accounts: Accounts, provider: Provider) -> None:
    oauth = oauth_settings(
        provider.url, user_claim="uid", permissions_claim="roles", permissions={"Report Reader": "reports"}
    )
    async with Authenticator(oauth, accounts) as authenticator:
        for roles, permissions in ((["Report Reader"], {"reports"}), (["reports"], set())):
            token = signed(sub="someone else", uid="ann", roles=roles)
            assert (await authenticator.authenticate([f"Bearer {token}"])).permissions == permissions


async def test_a_cached_access_token_expires_on_time(oauth: OAuthSettings, accounts: Accounts) -> None:
    now = time.time()
    token = signed(exp=int(now) + 60)
    async with Authenticator(oauth, accounts, clock=lambda: now) as authenticator:
        await authenticator.authenticate([f"Bearer {token}"])
        now = int(now) + 90.0
        with pytest.raises(Unauthenticated, match="expired"):
            await authenticator.authenticate([f"Bearer {token}"])


async def test_malformed_tokens_cause_no_request_to_the_provider(login: Login, provider: Provider) -> None:
    for name in ("no algorithm", "the public key as a shared secret", "garbage", "another type"):
        with pytest.raises(Unauthenticated):
            await login(REFUSED[name]())
    assert provider.asked == 0


async def test_invented_key_ids_cause_a_single_fetch(login: Login, provider: Provider) -> None:
    provider.delay = 0.05

    async def invent(_: int) -> None:
        with pytest.raises(Unauthenticated):
            await login(signed(header={"kid": secrets.token_hex(8)}))

    await asyncio.gather(*map(invent, range(100)))
    for number in range(100):
        await invent(number)
    assert provider.asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=503),
        lambda: web.Response(text="<html>"),
        lambda: web.Response(body=b"\xff"),
        lambda: web.json_response([]),
        lambda: web.json_response({"keys": []}),
        lambda: web.json_response({"keys": {"kid": "rsa"}}),
        lambda: web.json_response({"keys": [1, None, {}, {"kid": "x", "kty": ["RSA"]}, {"kid": "x", "kty": "RSA"}]}),
        lambda: web.json_response({"keys": [{**public(RSA, "rsa"), "key_ops": 1}]}),
        lambda: web.json_response({"keys": [{**public(RSA, "rsa"), "d": "AQAB"}]}),
        lambda: web.json_response({"keys": [{**public(RSA, "rsa"), "alg": "HS256"}]}),
        lambda: web.json_response({"keys": [public(RSA, "rsa")], "padding": "x" * 300_000}),
        lambda: web.Response(text="[" * 100_000),
        lambda: web.Response(status=302, headers={"Location": "/keys"}),
    ],
)
async def test_without_usable_keys_tokens_get_503_and_the_provider_gets_one_request(
    login: Login, provider: Provider, answer: Callable[[], web.Response]
) -> None:
    provider.answer = answer
    for _ in range(5):
        with pytest.raises(AccountsUnavailable):
            await login(signed())
    assert provider.asked == 1
