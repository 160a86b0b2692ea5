"""Parses the Authorization header into a credential. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from gateway.accounts import api_tokens as tokens
from gateway.accounts.api_tokens import ApiToken
from gateway.errors import Unauthenticated

TOKEN_CHALLENGE: Final = 'Token realm="reporting"'  # noqa: S105  (a challenge, no password)
BEARER_CHALLENGE: Final = 'Bearer realm="reporting"'

# RFC 9110: a scheme and spaces, followed by RFC 6750's b64token. The gateway has no other credentials.
_FORM: Final = re.compile(r"(Token|Bearer) +([A-Za-z0-9._~+/-]+=*)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """An OAuth2 access token that has not been verified."""

    text: str = field(repr=False)


def parse(values: Sequence[str], *, challenge: str) -> ApiToken | BearerToken:
    """Return the credential in `values`, which are all Authorization headers of one request.

    Raises `Unauthenticated` for no header, for several (proxies differ in which one they use), and for a text that
    is not exactly one credential. No message repeats the caller's text.
    """
    if not values:
        raise Unauthenticated("Send an Authorization header: 'Token <key>'.", challenge=challenge)
    if len(values) > 1:
        raise Unauthenticated("Send exactly one Authorization header.", challenge=challenge)
    return _parsed(values[0], challenge)


# Callers send the same text again and again.
@lru_cache(maxsize=4_096)
def _parsed(text: str, challenge: str) -> ApiToken | BearerToken:
    form = _FORM.fullmatch(text)
    if not form:
        raise Unauthenticated(
            "The Authorization header is not of the form 'Token <key>' or 'Bearer <access token>'.",
            challenge=challenge,
        )
    scheme, key = form.groups()
    if scheme.lower() == "bearer":
        return BearerToken(key)
    token = tokens.parse(key)
    if token is None:
        raise Unauthenticated("The token is not valid.", challenge=TOKEN_CHALLENGE)
    return token
