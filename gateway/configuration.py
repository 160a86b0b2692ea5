"""How settings are read. A setting comes from the first of: the environment, and the TOML file GATEWAY_SETTINGS_FILE.

A secret can instead be in a file of its own, which `GATEWAY_TOKEN_SECRET_FILE` or the key `token_secret_file` names.
`gateway/settings.py` has all settings; `gateway accounts`, `gateway catalog` and `gateway ingest` read only the part
that they need.
"""

import os
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Self, get_args

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX: Final = "GATEWAY_"
SETTINGS_FILE: Final = "GATEWAY_SETTINGS_FILE"
FILE_SUFFIX: Final = "_file"

# A day and 2^31-1 are far above any useful value, and small enough for every program that receives one.
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Bytes = Annotated[int, Field(ge=1024, le=2**40)]
Port = Annotated[int, Field(ge=0, le=65_535)]

CONFIDENTIAL: Final = "confidential"
"""Annotates a field that is not a SecretStr and may contain a secret, such as a URL with a password."""


class SettingsInvalid(Exception):
    """Settings are wrong. The message names each variable, what is wrong with it, and never its value."""


def variable_of(*location: object) -> str:
    """Return the environment variable of the field at this location."""
    return PREFIX + "_".join(map(str, location)).upper()


def is_secret(field: FieldInfo) -> bool:
    """Whether a field's value must not be shown; such a field can also be read from a file."""
    return SecretStr in (field.annotation, *get_args(field.annotation)) or CONFIDENTIAL in field.metadata


def with_files(fields: Mapping[str, FieldInfo]) -> frozenset[str]:
    """Return the names of these fields, and the names with which a secret can be read from a file."""
    secrets = [name for name, field in fields.items() if is_secret(field)]
    return frozenset((*fields, *(name + (FILE_SUFFIX.upper() if name.isupper() else FILE_SUFFIX) for name in secrets)))


def reject(sentence: str, unknown: Mapping[str, str], known: Iterable[str]) -> None:
    """Raise `SettingsInvalid` with the nearest known name of each unknown one. The values are the names as compared."""
    if unknown:
        lines = (f"  {ascii(name)[1:-1]}: {_hint(compared, known)}" for name, compared in sorted(unknown.items()))
        raise SettingsInvalid(f"{sentence}:\n" + "\n".join(lines))


def _hint(name: str, known: Iterable[str]) -> str:
    # The common prefix would make all names similar.
    short = {each.removeprefix(PREFIX): each for each in known}
    nearest = get_close_matches(name.removeprefix(PREFIX), short, n=1)
    return f"did you mean {short[nearest[0]]}?" if nearest else "`gateway serve --help` lists every setting"


def split_at_commas(text: str) -> list[str]:
    """Return the parts of a list as it is written in the environment and in options."""
    return [each.strip() for each in text.split(",") if each.strip()]


def separated_by_commas(value: object) -> object:
    """Return the parts of a text, anything else as it is."""
    return split_at_commas(value) if isinstance(value, str) else value


def settings_file() -> dict[str, Any]:
    """Return the content of the TOML file that the environment names, {} if it names none. Raises SettingsInvalid."""
    path = os.environ.get(SETTINGS_FILE)
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"cannot read the file: {error.strerror}"
    except UnicodeError:
        problem = "the file is not UTF-8 text"
    except (ValueError, RecursionError) as error:
        problem = f"the file is not valid TOML: {error}"
    raise SettingsInvalid(f"These settings are wrong:\n  {SETTINGS_FILE}: {problem}")


def exposed_settings_file(settings: type[BaseSettings]) -> str | None:
    """Return the path of the settings file if it contains a secret and every user of the machine can read it."""
    path, table, fields = os.environ.get(SETTINGS_FILE), settings_file(), settings.model_fields
    has_secret = any(_shows(fields[name], value) for name, value in table.items() if name in fields)
    return path if path is not None and has_secret and Path(path).stat().st_mode & stat.S_IROTH else None


def _shows(field: FieldInfo, value: object) -> bool:
    """Whether this value of a field is a secret. A URL is one only if it contains credentials."""
    return is_secret(field) and (CONFIDENTIAL not in field.metadata or "@" in str(value))


class Configuration(BaseSettings):
    """Settings that are read in the same way. Subclasses declare them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        # Lists are written with commas and not as JSON: the fields' own validators read them.
        enable_decoding=False,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_readable(cls, value: object) -> object:
        if isinstance(value, _Unreadable):
            raise ValueError(value.problem)  # noqa: TRY004 - pydantic reports a ValueError only
        return value

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in the order of their precedence; the constructor's arguments are the first."""
        environment = {name.upper(): value for name, value in os.environ.items()}
        table = settings_file()
        return (
            *sources,
            named["init_settings"],
            InitSettingsSource(settings_cls, _secrets(settings_cls, environment, variable_of)),
            named["env_settings"],
            InitSettingsSource(settings_cls, _secrets(settings_cls, table, str)),
            InitSettingsSource(settings_cls, table),
        )

    @classmethod
    def from_environment(cls) -> Self:
        """Return the settings of this process; raise `SettingsInvalid` with every problem."""
        try:
            return cls()
        except ValidationError as error:
            raise SettingsInvalid("These settings are wrong:\n" + "\n".join(_problems(error))) from None


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """In place of a value. Validation reports it with all other problems."""

    problem: str


def _secrets(
    settings: type[BaseSettings], given: Mapping[str, object], name_of: Callable[[str], str]
) -> dict[str, str | _Unreadable]:
    """Return the secrets whose files a source names. `name_of` returns the source's name of a field."""
    found: dict[str, str | _Unreadable] = {}
    for field in (name for name, each in settings.model_fields.items() if is_secret(each)):
        name, file = name_of(field), name_of(field + FILE_SUFFIX)
        if name in given and file in given:
            found[field] = _Unreadable(f"{file} is also given: remove one of them")
        elif file in given:
            found[field] = _read(file, given[file])
    return found


def _read(name: str, path: object) -> str | _Unreadable:
    if not isinstance(path, str):
        return _Unreadable(f"{name} is not the path of a file")
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        return _Unreadable(f"cannot read the file that {name} names: {error.strerror}")
    except UnicodeError:
        return _Unreadable(f"the file that {name} names is not UTF-8 text")


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
