"""Access tokens (JWT) of an OAuth2 provider."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Never

import jwt

from gateway.accounts.recent import Recent
from gateway.accounts.settings import OAuthSettings
from gateway.accounts.store import TTL, Accounts
from gateway.auth.credentials import BEARER_CHALLENGE, BearerToken
from gateway.auth.jwks import KeySet
from gateway.errors import Unauthenticated
from gateway.tenancy.principal import Principal

LEEWAY: Final = 30
"""Seconds by which the provider's clock may differ from ours."""

_KEPT: Final = 10_000  # verified tokens, of up to 8 kB each
# RFC 8725, 3.11: a provider signs other things with the same keys (log-out tokens, proofs); they say so in `typ`.
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid access token says."""

    subject: str
    permissions: frozenset[str]
    expires_at: float  # seconds since 1970


def claimed(claims: dict[str, Any], settings: OAuthSettings) -> Grant | None:
    """The user and the permissions that verified `claims` name; None where they name no user. Pure."""
    subject = claims.get(settings.user_claim)
    # Not printable: no database need ever see a NUL or half a surrogate pair.
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        return None
    listed = claims.get(settings.permissions_claim)
    names = listed.split() if isinstance(listed, str) else listed if isinstance(listed, list) else []
    permissions = {settings.permissions.get(name) for name in names if isinstance(name, str)} - {None}
    return Grant(subject, frozenset(filter(None, permissions)), float(claims["exp"]))


class OAuth:
    """Believes the tokens of one provider."""

    def __init__(self, settings: OAuthSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = KeySet(settings)
        # Checking a signature takes longer than everything else a request needs, and is the same each time.
        self._grants = Recent(self._verify, ttl=TTL, size=_KEPT)

    async def open(self) -> None:
        """Be ready."""
        await self._keys.open()

    async def close(self) -> None:
        """Stop fetching keys."""
        await self._keys.close()

    async def principal(self, token: BearerToken, accounts: Accounts) -> Principal:
        """Whose token this is. A permission needs both: the token's word and the account's.

        Raises `Unauthenticated` for anything but a valid access token of an active user.
        """
        grant = await self._grants.get(token)
        if grant is None or grant.expires_at + LEEWAY <= self._clock():
            _refuse("The access token has expired.")
        user = await accounts.subject(grant.subject)
        if user is None:
            _refuse("The access token is of no active user.")
        return replace(user, permissions=user.permissions & grant.permissions)

    async def _verify(self, token: BearerToken) -> Grant:
        try:
            header = jwt.get_unverified_header(token.text)
            key_id, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ", "JWT")
        except jwt.PyJWTError:
            _refuse("The access token is not valid.")
        # What the token says of itself is only used to choose among our own keys and algorithms.
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
