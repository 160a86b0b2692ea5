"""Turns the Authorization header into a `Principal`."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from gateway.accounts import api_tokens as tokens
from gateway.accounts.api_tokens import ApiToken
from gateway.accounts.store import Accounts
from gateway.auth import credentials
from gateway.auth.credentials import BEARER_CHALLENGE, TOKEN_CHALLENGE, BearerToken
from gateway.auth.oauth2 import OAuth
from gateway.auth.settings import OAuthSettings
from gateway.errors import Unauthenticated
from gateway.tenancy.principal import Principal


class Authenticator:
    """Authenticates callers. An async context manager around `accounts`, which must be open."""

    def __init__(
        self, oauth: OAuthSettings | None, accounts: Accounts, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._accounts = accounts
        self._clock = clock
        self._oauth = OAuth(oauth, clock=clock) if oauth else None
        self._challenge = f"{TOKEN_CHALLENGE}, {BEARER_CHALLENGE}" if self._oauth else TOKEN_CHALLENGE

    async def __aenter__(self) -> Self:
        if self._oauth:
            await self._oauth.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._oauth:
            await self._oauth.__aexit__(kind, error, traceback)

    async def authenticate(self, authorization: Sequence[str]) -> Principal:
        """Return the caller. `authorization` contains every Authorization header of the request.

        Raises `Unauthenticated` unless it is exactly one valid credential of an active user of an active
        organization, and `AccountsUnavailable` if that cannot be determined.
        """
        credential = credentials.parse(authorization, challenge=self._challenge)
        if isinstance(credential, BearerToken):
            return await self._bearer(credential)
        return await self._token(credential)

    async def _token(self, token: ApiToken) -> Principal:
        known = await self._accounts.token(token.prefix)
        # One error for all of these cases: a caller must not learn which one it is.
        if (
            known is None
            or not tokens.matches(token, known.digest, self._accounts.token_secret)
            or (known.expires_at is not None and known.expires_at <= self._clock())
        ):
            raise Unauthenticated("The token is not valid.", challenge=TOKEN_CHALLENGE)
        self._accounts.last_used.note(token.prefix, self._clock())
        return known.principal

    async def _bearer(self, token: BearerToken) -> Principal:
        if tokens.parse(token.text) is not None:
            raise Unauthenticated(
                "Send an API token as 'Token <key>' and not as 'Bearer <key>'.", challenge=self._challenge
            )
        if self._oauth is None:
            raise Unauthenticated(
                "OAuth2 access tokens are not accepted here. Send an API token: 'Token <key>'.",
                challenge=self._challenge,
            )
        return await self._oauth.principal(token, self._accounts)
