"""The settings of the account database. `gateway accounts` needs no others.

The gateway's own settings (gateway/settings.py) extend `AccountSettings`, so that one start reports every problem.
"""

from pydantic import Field, SecretStr, field_validator

from gateway.accounts.database import check_url
from gateway.configuration import Configuration, SettingsInvalid

__all__ = ["AccountSettings", "SettingsInvalid"]


class AccountSettings(Configuration):
    """The account database and the secret with which API tokens are hashed."""

    # Secret, because a PostgreSQL URL contains a password.
    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///var/accounts.db"),
        description="The account database: `sqlite:///path` or `postgresql://user:password@host/name`. "
        "`?sslmode=` and libpq's other parameters for TLS are understood.",
    )
    token_secret: SecretStr = Field(
        description="A random text of at least 32 characters with which API tokens are hashed. Keep it: if it "
        "changes, every token stops working. Create one with `openssl rand -base64 32`.",
    )

    @field_validator("database_url")
    @classmethod
    def _is_a_database_url(cls, value: SecretStr) -> SecretStr:
        check_url(value.get_secret_value())
        return value

    @field_validator("token_secret")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 32:
            raise ValueError("is shorter than 32 characters: create one with 'openssl rand -base64 32'")
        return value
