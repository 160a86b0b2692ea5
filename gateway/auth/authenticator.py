"""From the Authorization header to a `Principal`."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from gateway.accounts import api_tokens as tokens
from gateway.accounts.api_tokens import ApiToken
from gateway.accounts.settings import AccessSettings
from gateway.accounts.store import Accounts
from gateway.auth import credentials
from gateway.auth.credentials import BEARER_CHALLENGE, TOKEN_CHALLENGE, BearerToken
from gateway.auth.oauth2 import OAuth
from gateway.errors import Unauthenticated
from gateway.tenancy.principal import Principal


class Authenticator:
    """Says who is asking, or raises. An async context manager around `accounts`, which must be open."""

    def __init__(self, settings: AccessSettings, accounts: Accounts, *, clock: Callable[[], float] = time.time) -> None:
        self._accounts = accounts
        self._clock = clock
        self._oauth = OAuth(settings.oauth, clock=clock) if settings.oauth else None
        self._challenge = f"{TOKEN_CHALLENGE}, {BEARER_CHALLENGE}" if self._oauth else TOKEN_CHALLENGE

    async def __aenter__(self) -> Self:
        if self._oauth:
            await self._oauth.open()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._oauth:
            await self._oauth.close()

    async def authenticate(self, authorization: Sequence[str]) -> Principal:
        """Who shows this: `authorization` is every Authorization header of the request.

        Raises `Unauthenticated` unless it is exactly one valid credential of an active user of an active
        organization, and `AccountsUnavailable` where that cannot be found out.
        """
        credential = credentials.parse(authorization, challenge=self._challenge)
        if isinstance(credential, BearerToken):
            return await self._bearer(credential)
        return await self._token(credential)

    async def _token(self, token: ApiToken) -> Principal:
        known = await self._accounts.token(token.prefix)
        # One answer for all of these: which of them it was is nobody's business.
        if (
            known is None
            or not tokens.is_of(token, known.digest, self._accounts.token_secret)
            or (known.expires_at is not None and known.expires_at <= self._clock())
        ):
            raise Unauthenticated("The token is not valid.", challenge=TOKEN_CHALLENGE)
        self._accounts.last_used.note(token.prefix, self._clock())
        return known.principal

    async def _bearer(self, token: BearerToken) -> Principal:
        if self._oauth is None:
            raise Unauthenticated("Bearer tokens are not accepted here.", challenge=self._challenge)
        return await self._oauth.principal(token, self._accounts)
