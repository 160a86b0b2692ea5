"""The settings of the account database, and how every setting is read from the environment.

The gateway's own settings (gateway/settings.py) extend `AccountSettings`, so that one start reports every problem.
`gateway accounts` needs only this class.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, get_args

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.accounts.database import check_url

PREFIX: Final = "GATEWAY_"
FILE_SUFFIX: Final = "_FILE"


class SettingsInvalid(Exception):
    """Settings are wrong. The message names each variable, what is wrong with it, and never its value."""


def variable_of(*location: object) -> str:
    """Return the environment variable of the field at this location."""
    return PREFIX + "_".join(map(str, location)).upper()


def is_secret(field: FieldInfo) -> bool:
    """Whether a field's value must not be shown; such a field can also be read from a file."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


class AccountSettings(BaseSettings):
    """The account database and the secret with which API tokens are hashed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        # Lists are written with commas and not as JSON: the fields' own validators read them.
        enable_decoding=False,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

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

    @field_validator("*", mode="before")
    @classmethod
    def _read_from_file(cls, value: object, info: ValidationInfo) -> object:
        return value.read(f"{variable_of(info.field_name)}{FILE_SUFFIX}") if isinstance(value, _SecretFile) else value

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the constructor's arguments, then the environment, then the files that the environment names."""
        return (*sources, named["init_settings"], named["env_settings"], _SecretFiles(settings_cls))

    @classmethod
    def from_environment(cls) -> Self:
        """Return the settings of this process's environment; raise `SettingsInvalid` with every problem."""
        try:
            return cls()  # type: ignore[call-arg]  # fields without a default come from the environment
        except ValidationError as error:
            raise SettingsInvalid("These settings are wrong:\n" + "\n".join(_problems(error))) from None


@dataclass(frozen=True, slots=True)
class _SecretFile:
    path: str

    def read(self, variable: str) -> str:
        try:
            return Path(self.path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ValueError(f"cannot read the file that {variable} names: {error.strerror}") from None
        except UnicodeError:
            raise ValueError(f"the file that {variable} names is not UTF-8 text") from None


class _SecretFiles(PydanticBaseSettingsSource):
    """`GATEWAY_TOKEN_SECRET_FILE` names the file that contains the token secret, and so on for every secret."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(variable_of(field_name) + FILE_SUFFIX) if is_secret(field) else None
        return None if path is None else _SecretFile(path), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def _problems(error: ValidationError) -> Sequence[str]:
    problems = []
    for each in error.errors(include_input=False, include_url=False):
        # At most a group and a field; the rest is a position within a list or an object.
        location = [part for part in each["loc"] if isinstance(part, str)][:2]
        variable = f"{variable_of(*location)}: " if location else ""
        problems.append(f"  {variable}{_message(each['msg'])}")
    return problems


def _message(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return "is required" if text == "Field required" else text
