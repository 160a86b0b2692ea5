"""The settings of the OAuth2 provider: `GATEWAY_OAUTH_ISSUER` and so on."""

import json
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import NoDecode

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip
"""Asymmetric signatures only: the gateway has no key that could sign a token."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class OAuthSettings(BaseModel):
    """An OAuth2 provider (optional), whose access tokens (JWT) the gateway accepts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = Field(min_length=1, description="The exact `iss` claim of the provider's tokens.")
    audience: str = Field(min_length=1, description="The `aud` claim that identifies this gateway.")
    jwks: str = Field(min_length=1, description="The provider's public keys: an https URL, or the path of a JWKS file.")
    algorithms: Annotated[frozenset[Algorithm], NoDecode] = Field(
        default=frozenset({"RS256"}),
        min_length=1,
        description="The accepted signature algorithms, separated by commas.",
    )
    user_claim: str = Field(default="sub", description="The claim that contains a user's `subject`.")
    permissions_claim: str = Field(
        default="scope", description="The claim with permissions: a list, or a text separated by spaces."
    )
    permissions: Annotated[dict[str, str], NoDecode] = Field(
        default={"reports": "reports"},
        description="A JSON object that maps the provider's permission names to the gateway's. A caller has the "
        "permissions that both the token and the account grant.",
    )

    @field_validator("jwks")
    @classmethod
    def _can_be_read_and_not_altered_in_transit(cls, value: str) -> str:
        try:
            url = urlsplit(value)
        except ValueError:
            raise ValueError("not a URL") from None
        if url.scheme == "http" and url.hostname not in _LOOPBACK:
            raise ValueError("keys must be fetched over https, because anyone who alters them can sign tokens")
        if url.username or url.password:
            raise ValueError("public keys need no password, and the gateway logs the address")
        if "://" in value:
            if url.scheme not in {"http", "https"} or not url.hostname:
                raise ValueError("use an https URL or the path of a file")
            return value
        try:
            Path(value).read_bytes()
        except OSError as error:
            raise ValueError(f"cannot read the file: {error.strerror}") from None
        return value

    @field_validator("algorithms", mode="before")
    @classmethod
    def _separated_by_commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        # A JSON list, the form of earlier versions, is still understood.
        return [each.strip(' "') for each in value.strip(" []").split(",") if each.strip(' "')]

    @field_validator("permissions", mode="before")
    @classmethod
    def _json_object(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError('not a JSON object such as {"read:reports": "reports"}') from None

    @property
    def jwks_file(self) -> Path | None:
        """The path if the keys are in a file."""
        return None if "://" in self.jwks else Path(self.jwks)
