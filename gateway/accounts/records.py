"""The records of the account database, as the command line reads and prints them."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, computed_field

from gateway.tenancy.organization_id import OrganizationId, parse_organization_id
from gateway.tenancy.principal import PERMISSIONS


def _text(value: object) -> object:
    """Return an integer as text: JSON lines may have numbers as ids."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _canonical_uuid(value: str) -> str:
    try:
        canonical = str(uuid.UUID(value))
    except ValueError:
        canonical = ""
    if canonical != value.lower():
        raise ValueError("not a UUID such as b0a1d32b-e82c-11e4-b081-6c4008adf7e8")
    return canonical


def _email(value: str) -> str:
    local, at, domain = value.strip().lower().rpartition("@")
    if not (local and at and domain) or not value.isprintable() or " " in local + domain:
        raise ValueError("not an e-mail address")
    return f"{local}@{domain}"


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("contains control characters")
    return value


def _known(value: str) -> str:
    if value not in PERMISSIONS:
        raise ValueError(f"no such permission; the permissions are: {', '.join(sorted(PERMISSIONS))}")
    return value


Id = Annotated[OrganizationId, BeforeValidator(_text), AfterValidator(parse_organization_id)]
"""The id of an organization."""
UserId = Annotated[str, AfterValidator(_canonical_uuid)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Email = Annotated[str, Field(max_length=320), AfterValidator(_email)]
Subject = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
Permission = Annotated[str, AfterValidator(_known)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Organization(_Record):
    """An organization. Requests treat an inactive one as if it did not exist."""

    id: Id
    name: Name
    active: bool = True


class User(_Record):
    """A user of one organization. `subject` is its id at the OAuth2 provider; None: only API tokens."""

    id: UserId
    organization_id: Id
    email: Email
    subject: Subject | None = None
    permissions: frozenset[Permission] = frozenset()
    active: bool = True


class Partnership(_Record):
    """`organization_id` can request reports about `partner_id`: its own sessions in which the partner took part."""

    organization_id: Id
    partner_id: Id
    active: bool = True


class Token(_Record):
    """An API token without its secret."""

    prefix: str
    user_id: UserId
    email: Email
    name: Name
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @computed_field  # type: ignore[prop-decorator]  # the order that pydantic documents; mypy does not support it
    @property
    def state(self) -> Literal["active", "expired", "revoked"]:
        """The token's state at this moment."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.expires_at is None or self.expires_at > datetime.now(UTC) else "expired"


class NewToken(Token):
    """A token that was just created, with its whole text."""

    text: str = Field(repr=False)
