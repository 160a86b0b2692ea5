"""API tokens: their form and their digest. Pure.

A token has the form `gwt_<prefix>_<secret>`. The prefix has 8 characters and is public: it is the key of the token's
row and appears in logs. The secret is 256 random bits in base64url. The database contains only an HMAC-SHA256 of the
whole text, keyed with a secret outside the database: a copy of the database allows neither using nor guessing a token.
"""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_FORM: Final = re.compile(r"gwt_([a-z2-7]{8})_[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A well-formed token. Its representation contains only the public prefix."""

    prefix: str
    text: str = field(repr=False)


def generate() -> ApiToken:
    """Return a new token, from the operating system's random numbers."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return ApiToken(prefix, f"gwt_{prefix}_{secrets.token_urlsafe(32)}")


def parse(text: str) -> ApiToken | None:
    """Return `text` as a token, or None if it does not have the form of one."""
    form = _FORM.fullmatch(text)
    return ApiToken(form[1], text) if form else None


# OpenSSL takes longer to look the algorithm up than to compute it, and every request needs a digest.
@lru_cache(maxsize=4_096)
def digest(token: ApiToken, secret: bytes) -> bytes:
    """Return the 32 bytes that are stored for a token."""
    return hmac.digest(secret, token.text.encode("ascii"), "sha256")


def matches(token: ApiToken, stored: bytes, secret: bytes) -> bool:
    """Whether `stored` is this token's digest, compared in constant time."""
    return hmac.compare_digest(digest(token, secret), stored)
