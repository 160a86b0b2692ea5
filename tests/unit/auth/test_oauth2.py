"""Access tokens of an OAuth2 provider: real keys, real signatures, a real JWKS server on loopback."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from pydantic import SecretStr, ValidationError

from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts
from gateway.auth import jwks
from gateway.auth.authenticator import Authenticator
from gateway.auth.jwks import KeySet
from gateway.auth.settings import Algorithm, OAuthSettings
from gateway.errors import AccountsUnavailable, Unauthenticated
from gateway.tenancy.principal import Principal

OWN = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"
ISSUER, AUDIENCE = "https://login.example.com/", "https://reports.example.com"
RSA, OTHER_RSA = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
SHORT_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC, EC384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def public(key: Key, key_id: str, **more: Any) -> dict[str, Any]:
    match key:
        case rsa.RSAPrivateKey():
            jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ed25519.Ed25519PrivateKey():
            jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": key_id, "use": "sig", **more}


@dataclass
class Provider:
    """An OAuth2 provider's key server, which counts its requests."""

    keys: list[dict[str, Any]] = field(
        default_factory=lambda: [
            public(RSA, "rsa"),
            public(EC, "ec"),
            public(EC384, "ec384"),
            public(ED, "ed"),
            public(SHORT_RSA, "short"),
            public(OTHER_RSA, "for encryption", use="enc"),
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
        ]
    )
    answer: Callable[[], web.Response] | None = None
    delay: float = 0
    asked: int = 0
    url: str = ""

    async def serve(self, _request: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(self.delay)
        return self.answer() if self.answer else web.json_response({"keys": self.keys})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_get("/keys", provider.serve)
    async with TestServer(app) as server:
        provider.url = str(server.make_url("/keys"))
        yield provider


def oauth_settings(source: str, **more: Any) -> OAuthSettings:
    algorithms = {"RS256", "PS256", "ES256", "EdDSA"}
    return OAuthSettings(issuer=ISSUER, audience=AUDIENCE, jwks=source, **{"algorithms": algorithms, **more})


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


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "scope": "openid reports", "iat": now, "exp": now + 600}
    return {name: value for name, value in {**usual, **more}.items() if value is not None}


def signed(key: Key = RSA, algorithm: str = "RS256", header: dict[str, Any] | None = None, **more: Any) -> str:
    return jwt.encode(claims(**more), key, algorithm=algorithm, headers={"kid": "rsa", **(header or {})})


def by_hand(header: object, body: object, sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    message = part(header) + b"." + part(body)
    return (message + b"." + base64.urlsafe_b64encode(sign(message)).rstrip(b"=")).decode()


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
    "an API token": lambda: "gwt_aaaaaaaa_" + "A" * 43,
}


@pytest.mark.parametrize("name", REFUSED)
async def test_any_other_token_is_rejected_with_a_challenge(login: Login, name: str) -> None:
    for _ in range(2):
        with pytest.raises(Unauthenticated) as refused:
            await login(REFUSED[name]())
        challenge = refused.value.headers["WWW-Authenticate"]
        assert challenge == 'Bearer realm="reporting", error="invalid_token"'


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


class Hours:
    """A clock that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def keys(provider: Provider) -> AsyncIterator[tuple[KeySet, Hours]]:
    clock = Hours()
    async with KeySet(oauth_settings(provider.url), clock=clock) as keys:
        yield keys, clock


async def _settled(keys: KeySet) -> None:
    if keys._loading:
        await keys._loading


async def test_a_new_key_is_accepted_after_at_most_thirty_seconds(
    keys: tuple[KeySet, Hours], provider: Provider
) -> None:
    key_set, clock = keys
    assert await key_set.key("new", "RS256") is None
    provider.keys = [public(OTHER_RSA, "new")]
    clock.now += jwks.MIN_INTERVAL - 0.1
    assert await key_set.key("new", "RS256") is None
    assert provider.asked == 1
    clock.now += 0.1
    assert await key_set.key("new", "RS256") is not None
    assert provider.asked == 2


async def test_a_withdrawn_key_is_rejected_after_the_next_fetch(keys: tuple[KeySet, Hours], provider: Provider) -> None:
    key_set, clock = keys
    assert await key_set.key("rsa", "RS256") is not None
    provider.keys = [public(OTHER_RSA, "new")]
    clock.now += jwks.FRESH
    assert await key_set.key("rsa", "RS256") is not None  # the refresh is not awaited
    await _settled(key_set)
    assert await key_set.key("rsa", "RS256") is None
    assert provider.asked == 2


async def test_cached_keys_are_used_for_an_hour_while_the_provider_is_down(
    keys: tuple[KeySet, Hours], provider: Provider
) -> None:
    key_set, clock = keys
    assert await key_set.key("rsa", "RS256") is not None
    provider.answer = lambda: web.Response(status=500)
    for _ in range(11):
        clock.now += jwks.FRESH
        assert await key_set.key("rsa", "RS256") is not None
        await _settled(key_set)
    clock.now += jwks.FRESH
    with pytest.raises(AccountsUnavailable):
        await key_set.key("rsa", "RS256")
    provider.answer = None
    clock.now += jwks.MIN_INTERVAL
    assert await key_set.key("rsa", "RS256") is not None


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


async def test_an_unusable_key_is_ignored(keys: tuple[KeySet, Hours], provider: Provider) -> None:
    unusable = [{"kty": "RSA", "kid": "bad", "n": "!", "e": "!"}, {"kty": "OKP", "crv": "X25519", "kid": "y"}]
    provider.keys = [*unusable, *provider.keys]
    assert await keys[0].key("rsa", "RS256") is not None
    assert await keys[0].key("bad", "RS256") is None


async def test_a_cancelled_caller_does_not_cancel_the_fetch_of_the_others(
    keys: tuple[KeySet, Hours], provider: Provider
) -> None:
    provider.delay = 0.1
    first, second = (asyncio.create_task(keys[0].key("rsa", "RS256")) for _ in range(2))
    await asyncio.sleep(0.02)
    first.cancel()
    assert await second is not None
    assert provider.asked == 1


async def test_keys_can_come_from_a_file_that_is_read_again(tmp_path: Path) -> None:
    file, clock = tmp_path / "keys.json", Hours()
    async with KeySet(oauth_settings(str(file)), clock=clock) as keys:
        with pytest.raises(AccountsUnavailable):
            await keys.key("rsa", "RS256")
        file.write_text(json.dumps({"keys": [public(RSA, "rsa")]}))
        clock.now += jwks.MIN_INTERVAL
        assert await keys.key("rsa", "RS256") is not None


@pytest.mark.parametrize("algorithm", ["HS256", "none", "RS1", ""])
def test_only_asymmetric_algorithms_can_be_configured(algorithm: Algorithm) -> None:
    with pytest.raises(ValidationError):
        oauth_settings("keys.json", algorithms={algorithm})
    with pytest.raises(ValidationError):
        oauth_settings("keys.json", algorithms=set())


@pytest.mark.parametrize(
    "source", ["http://login.example.com/keys", "ftp://login.example.com/keys", "https://u:p@login.example.com/"]
)
def test_an_insecure_key_url_is_rejected(source: str) -> None:
    with pytest.raises(ValidationError):
        oauth_settings(source)
