"""The Authorization header, read into the one credential it holds. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.accounts import api_tokens as tokens
from gateway.accounts.api_tokens import ApiToken
from gateway.errors import Unauthenticated

TOKEN_CHALLENGE: Final = 'Token realm="reporting"'  # noqa: S105  (a challenge, no password)
BEARER_CHALLENGE: Final = 'Bearer realm="reporting"'

# RFC 9110: a scheme, spaces, then (here) RFC 6750's b64token. Everything else is no credential of ours.
_FORM: Final = re.compile(r"(Token|Bearer) +([A-Za-z0-9._~+/-]+=*)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """An OAuth2 access token, not yet looked into."""

    text: str = field(repr=False)


def parse(values: Sequence[str], *, challenge: str) -> ApiToken | BearerToken:
    """The credential in `values`, every Authorization header of one request.

    Raises `Unauthenticated` for none, for several (proxies disagree about which one counts), and for any text
    that is not exactly one credential. No message repeats any of the caller's text.
    """
    if not values:
        raise Unauthenticated("Send an Authorization header: 'Token <key>'.", challenge=challenge)
    if len(values) > 1:
        raise Unauthenticated("Send exactly one Authorization header.", challenge=challenge)
    form = _FORM.fullmatch(values[0])
    if not form:
        raise Unauthenticated(
            "The Authorization header is not of the form 'Token <key>' or 'Bearer <access token>'.",
            challenge=challenge,
        )
    scheme, text = form.groups()
    if scheme.lower() == "bearer":
        return BearerToken(text)
    token = tokens.parse(text)
    if token is None:
        raise Unauthenticated("The token is not valid.", challenge=TOKEN_CHALLENGE)
    return token
