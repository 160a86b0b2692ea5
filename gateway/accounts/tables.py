"""The tables of the account database. A change needs a migration in migrations/versions/; a test compares them."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
)


class UtcTime(TypeDecorator[datetime]):
    """A time with an offset. SQLite does not store offsets, so values are stored and returned as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


# SQLite does not enforce lengths, so that its tables did not change with revision 0002.
_ORGANIZATION_ID: Final = String(128).with_variant(String(36), "sqlite")

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

organizations: Final = Table(
    "organizations",
    metadata,
    Column("id", _ORGANIZATION_ID, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

users: Final = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False, index=True),
    Column("email", String(320), nullable=False, unique=True),
    # The user's id at the OAuth2 provider. Not an e-mail address by default: some providers let users choose it.
    Column("subject", String(255), unique=True),
    Column("permissions", JSON, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("prefix", String(8), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
)

partnerships: Final = Table(
    "partnerships",
    metadata,
    Column("organization_id", ForeignKey("organizations.id"), primary_key=True),
    Column("partner_id", ForeignKey("organizations.id"), primary_key=True, index=True),
    Column("active", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    CheckConstraint("organization_id <> partner_id", name="not_of_itself"),
)
