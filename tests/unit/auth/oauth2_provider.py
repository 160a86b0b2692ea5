"""An OAuth2 provider: real keys, real signatures, a real JWKS server."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.auth.settings import OAuthSettings

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


def oauth_settings(source: str, **more: Any) -> OAuthSettings:
    algorithms = {"RS256", "PS256", "ES256", "EdDSA"}
    return OAuthSettings(issuer=ISSUER, audience=AUDIENCE, jwks=source, **{"algorithms": algorithms, **more})


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
