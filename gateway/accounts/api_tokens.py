"""API tokens: how they look, and how they are kept. Pure.

A token reads `gwt_<prefix>_<secret>`: 8 characters that are public (the key of the token's row, and its name in
logs), then 256 random bits in base64url. What is stored is an HMAC-SHA256 of the whole text, keyed with a secret
that is not in the database: whoever reads the database can neither use a token nor try guesses against it.
"""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_FORM: Final = re.compile(r"gwt_([a-z2-7]{8})_[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token's text, of the right form. Its representation holds the public prefix alone."""

    prefix: str
    text: str = field(repr=False)


def generate() -> ApiToken:
    """A new token from the operating system's random numbers."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return ApiToken(prefix, f"gwt_{prefix}_{secrets.token_urlsafe(32)}")


def parse(text: str) -> ApiToken | None:
    """The token that `text` is, or None when it has another form and so cannot be one of ours."""
    form = _FORM.fullmatch(text)
    return ApiToken(form[1], text) if form else None


def digest(token: ApiToken, secret: bytes) -> bytes:
    """What is stored of a token: 32 bytes."""
    return hmac.digest(secret, token.text.encode("ascii"), "sha256")


def is_of(token: ApiToken, stored: bytes, secret: bytes) -> bool:
    """Whether `stored` is this token's digest; the time it takes tells nothing about where they differ."""
    return hmac.compare_digest(digest(token, secret), stored)
