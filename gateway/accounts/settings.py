"""What authentication needs from the environment.

Flat names (`GATEWAY_DATABASE_URL`, `GATEWAY_TOKEN_SECRET`) and, for an OAuth2 provider, `GATEWAY_OAUTH_ISSUER` and so
on. The gateway's own settings extend `AccessSettings`, so that every problem is reported at once; the command
line for accounts needs no more than this class.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip
"""Asymmetric signatures alone: the gateway holds no key with which anyone could sign."""

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class OAuthSettings(BaseModel):
    """The OAuth2 provider whose access tokens (JWT) are believed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, description="The exact `iss` of its tokens.")
    audience: str = Field(min_length=1, description="The `aud` that names this gateway.")
    jwks: str = Field(description="Where its public keys are: an https URL, or the path of a JWKS file.")
    algorithms: frozenset[Algorithm] = Field(
        default=frozenset({"RS256"}), min_length=1, description="The signature algorithms that are accepted."
    )
    user_claim: str = Field(default="sub", description="The claim that holds a user's `subject`.")
    permissions_claim: str = Field(
        default="scope", description="The claim with permissions: a list, or a text with spaces between them."
    )
    permissions: dict[str, str] = Field(
        default={"reports": "reports"},
        description="The provider's name of a permission → the gateway's. A caller has what both the token "
        "and the account grant.",
    )

    @field_validator("jwks")
    @classmethod
    def _keys_come_unaltered(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme == "http" and url.hostname not in _LOOPBACK:
            raise ValueError("keys must be fetched over https: whoever alters them can sign tokens")
        if url.username or url.password:
            raise ValueError("public keys need no password, and the address is logged")
        if "://" in value and url.scheme not in {"http", "https"}:
            raise ValueError("give an https URL or the path of a file")
        return value

    @property
    def jwks_file(self) -> Path | None:
        """The path, when the keys are in a file."""
        return None if self.jwks.startswith(("https://", "http://")) else Path(self.jwks)


class AccessSettings(BaseSettings):
    """The account database, the secret that tokens are hashed with, and an OAuth2 provider if there is one."""

    # GATEWAY_OAUTH_USER_CLAIM is oauth.user_claim: only the first underscore after the prefix parts the names.
    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    # Secret, because a PostgreSQL URL holds a password.
    database_url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///var/accounts.db"),
        description="The account database: sqlite:///path or postgresql://user:password@host/name. Without it, "
        "SQLite in var/accounts.db.",
    )
    token_secret: Annotated[SecretStr, Field(min_length=32)] = Field(
        description="At least 32 characters, random and kept: API tokens are hashed with it, and all of them "
        "stop working when it changes. Make one with: openssl rand -base64 32"
    )
    oauth: OAuthSettings | None = Field(default=None, description="An OAuth2 provider; without one, tokens alone.")

    @field_validator("database_url")
    @classmethod
    def _has_an_async_driver(cls, value: SecretStr) -> SecretStr:
        try:
            url = make_url(value.get_secret_value())
        except (ArgumentError, ValueError):
            raise ValueError("not a database URL: give sqlite:///path or postgresql://…") from None
        driver = _DRIVERS.get(url.drivername, url.drivername)
        if driver not in _DRIVERS.values():
            raise ValueError("the account database is SQLite (sqlite:///path) or PostgreSQL (postgresql://…)")
        return SecretStr(url.set(drivername=driver).render_as_string(hide_password=False))

    @classmethod
    def from_environment(cls) -> Self:
        """What the environment says, or pydantic's `ValidationError` with all that is wrong in it."""
        return cls()  # type: ignore[call-arg]  # fields without a default come from the environment
