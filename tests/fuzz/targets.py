"""What callers control, taken as far as the gateway does before it asks anyone: only a `GatewayError` may come out.

Each target takes any bytes. Whatever else it raises is a finding, and so is taking long.
"""

import asyncio
import json
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from time import process_time
from types import SimpleNamespace
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from multidict import CIMultiDict

from gateway.accounts import api_tokens as tokens
from gateway.accounts.store import Accounts
from gateway.auth import credentials
from gateway.auth.credentials import BEARER_CHALLENGE, BearerToken
from gateway.auth.oauth2 import OAuth
from gateway.auth.settings import OAuthSettings
from gateway.druid.tenant_guard import check_query
from gateway.errors import GatewayError
from gateway.query.aggregations import Uniques
from gateway.query.compile import compile_report, compile_totals
from gateway.query.explain import explain
from gateway.query.json_body import read_json
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import is_heavy, plan
from gateway.query.schema import compile_schema
from gateway.tenancy.principal import REPORTS, Principal
from gateway.tenancy.tenant import authorize
from gateway.web.audit import shape_of
from gateway.web.authentication import deadline_of
from gateway.web.client_address import address_of
from gateway.web.context import SETTINGS
from gateway.web.problem_details import problem_of
from tests.datasets import CHAT_SESSIONS
from tests.tenants import AllPartners, tenant_of

MOST_SECONDS = 1.0
"""Of processor time, for one input."""

SCHEMA = compile_schema(CHAT_SESSIONS, Limits())
TENANT = tenant_of()
SOMEBODY = Principal("user", TENANT.owner_organization_id, frozenset({REPORTS}), "fuzz")
PROXIES = (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))


def body(data: bytes) -> None:
    """A request's body, up to the queries that Druid would get and the answer to ?explain=true."""
    try:
        planned = plan(parse(read_json(data), SCHEMA), TENANT, CHAT_SESSIONS, Limits(), Uniques.SKETCH)
        queries = [compile_report(planned), compile_totals(planned)]
    except GatewayError as error:
        problem_of(error, "0" * 32)
        return
    for query in queries:
        check_query(query)
        json.dumps(query.native, allow_nan=False).encode()
    json.dumps([explain(planned, SCHEMA.limits, now=0), shape_of(planned), is_heavy(planned)], default=str)


def headers(data: bytes) -> None:
    """The headers Authorization, X-Forwarded-For and Prefer, and the path's organization id."""
    # As aiohttp reads headers.
    text = data.decode("utf-8", "surrogateescape")
    try:
        credential = credentials.parse([text], challenge=BEARER_CHALLENGE)
    except GatewayError as error:
        problem_of(error, "0" * 32)
    else:
        if isinstance(credential, BearerToken):
            _run(_provider().principal(credential, _ACCOUNTS))
        else:
            tokens.matches(credential, bytes(32), b"secret")
    # A header of any content, and claims of any content that are truly the provider's.
    for token in (f"{_packed(data)}.{_packed(data)}.AA", _signed(data)):
        _run(_provider().principal(BearerToken(token), _ACCOUNTS))
    address_of("127.0.0.1", [text], PROXIES)
    request: Any = SimpleNamespace(
        app={SETTINGS: SimpleNamespace(request_timeout=60.0)}, headers=CIMultiDict({"Prefer": text})
    )
    _run(_waiting(request))
    _run(authorize(SOMEBODY, text, AllPartners()))


TARGETS: Mapping[str, Callable[[bytes], None]] = {"body": body, "headers": headers}


def check(target: str, data: bytes) -> None:
    """Try one input; raises whatever is a finding."""
    began = process_time()
    TARGETS[target](data)
    took = process_time() - began
    assert took < MOST_SECONDS, f"{took:.1f} s for {len(data)} bytes"


class _Everyone:
    """Every subject is an active user."""

    async def subject(self, subject: str) -> Principal:
        subject.encode()
        return SOMEBODY


_ACCOUNTS = cast(Accounts, _Everyone())
_KEY = Ed25519PrivateKey.generate()
_HEADER = b'{"alg":"EdDSA","kid":"fuzz","typ":"at+jwt"}'
_loop = asyncio.new_event_loop()


@cache
def _provider() -> OAuth:
    """An OAuth2 provider whose key is at hand."""
    key = OKPAlgorithm.to_jwk(_KEY.public_key(), as_dict=True) | {"kid": "fuzz", "use": "sig", "alg": "EdDSA"}
    file = Path(tempfile.mkdtemp()) / "jwks.json"
    file.write_text(json.dumps({"keys": [key]}))
    settings = OAuthSettings(issuer="fuzz", audience="fuzz", jwks=str(file), algorithms=frozenset({"EdDSA"}))
    return OAuth(settings)


def _packed(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def _signed(claims: bytes) -> str:
    signed = f"{_packed(_HEADER)}.{_packed(claims)}"
    return f"{signed}.{_packed(_KEY.sign(signed.encode()))}"


async def _waiting(request: Any) -> None:
    deadline_of(request)


def _run(awaitable: Awaitable[object]) -> None:
    async def waiting() -> None:
        with suppress(GatewayError):
            await awaitable

    _loop.run_until_complete(waiting())
