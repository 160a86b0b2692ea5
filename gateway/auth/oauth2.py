"""Access tokens (JWT) of an OAuth2 provider."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Never, Self

import jwt

from gateway.accounts.lookup_cache import LookupCache
from gateway.accounts.store import TTL, Accounts
from gateway.auth.credentials import BEARER_CHALLENGE, BearerToken
from gateway.auth.jwks import KeySet
from gateway.auth.settings import OAuthSettings
from gateway.errors import Unauthenticated
from gateway.tenancy.principal import Principal

LEEWAY: Final = 30
"""Seconds by which the provider's clock may differ from ours."""

_CACHE_SIZE: Final = 10_000  # verified tokens, of up to 8 kB each
# RFC 8725, 3.11: a provider signs other things with the same keys (log-out tokens, proofs), with another `typ`.
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})


@dataclass(frozen=True, slots=True)
class Grant:
    """The content of a valid access token."""

    subject: str
    permissions: frozenset[str]
    expires_at: float  # seconds since 1970


def claimed(claims: dict[str, Any], settings: OAuthSettings) -> Grant | None:
    """Return the user and the permissions that verified `claims` name; None if they name no user. Pure."""
    subject = claims.get(settings.user_claim)
    # Only printable texts: a database must not receive a NUL or half a surrogate pair.
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        return None
    listed = claims.get(settings.permissions_claim)
    names = listed.split() if isinstance(listed, str) else listed if isinstance(listed, list) else []
    permissions = {settings.permissions.get(name) for name in names if isinstance(name, str)} - {None}
    return Grant(subject, frozenset(filter(None, permissions)), float(claims["exp"]))


class OAuth:
    """Verifies the access tokens of one provider. An async context manager around its keys."""

    def __init__(self, settings: OAuthSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = KeySet(settings)
        # Checking a signature takes longer than everything else in a request, and its result does not change.
        self._grants = LookupCache(self._verify, ttl=TTL, size=_CACHE_SIZE)

    async def __aenter__(self) -> Self:
        await self._keys.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._keys.__aexit__(kind, error, traceback)

    async def principal(self, token: BearerToken, accounts: Accounts) -> Principal:
        """Return the user of this token, with the permissions that both the token and the account grant.

        Raises `Unauthenticated` unless it is a valid access token of an active user.
        """
        grant = await self._grants.get(token)
        if grant is None or grant.expires_at + LEEWAY <= self._clock():
            _refuse("The access token has expired.")
        user = await accounts.subject(grant.subject)
        if user is None:
            _refuse("The access token belongs to no active user.")
        return replace(user, permissions=user.permissions & grant.permissions)

    async def _verify(self, token: BearerToken) -> Grant:
        try:
            header = jwt.get_unverified_header(token.text)
            key_id, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ", "JWT")
        except jwt.PyJWTError:
            _refuse("The access token is not valid.")
        # The token's own header only selects one of our keys and algorithms.
        if (
            not (isinstance(key_id, str) and isinstance(algorithm, str) and isinstance(kind, str))
            or kind.lower() not in _TYPES
            or algorithm not in self._settings.algorithms
        ):
            _refuse("The access token is not valid.")
        key = await self._keys.key(key_id, algorithm)
        if key is None:
            _refuse("The access token is not valid.")
        try:
            claims = jwt.decode(
                token.text,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
            grant = claimed(claims, self._settings)
        except jwt.ExpiredSignatureError:
            _refuse("The access token has expired.")
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            _refuse("The access token is not valid.")
        if grant is None:
            _refuse("The access token names no user.")
        return grant


def _refuse(detail: str) -> Never:
    raise Unauthenticated(detail, challenge=f'{BEARER_CHALLENGE}, error="invalid_token"') from None
