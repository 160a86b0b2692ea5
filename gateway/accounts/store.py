"""The account store as requests use it: SQLite or PostgreSQL, asked rarely and never waited for long."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import structlog
from asyncpg import InterfaceError, PostgresError  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Row, Select, and_, bindparam, select, true
from sqlalchemy.exc import SQLAlchemyError

from gateway.accounts import schema
from gateway.accounts.administration import Administration
from gateway.accounts.administration.changes import Changes
from gateway.accounts.database import engine_for, writing
from gateway.accounts.last_used import LastUsed
from gateway.accounts.recent import Recent
from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import AccessSettings
from gateway.accounts.tables import organizations, partnerships, tokens, users
from gateway.errors import AccountsUnavailable
from gateway.tenancy.principal import PERMISSIONS, Principal
from gateway.tenancy.tenant import Standing

TTL: Final = 3.0
"""Seconds for which an answer of the database is believed: what is revoked works no longer than this."""

_PATIENCE: Final = 2.0  # seconds; a request waits no longer for the database than this
_KEPT: Final = 50_000  # answers of each kind; some 500 bytes each

_FAILURES: Final = (SQLAlchemyError, PostgresError, InterfaceError, OSError, TimeoutError)

_log = structlog.stdlib.get_logger(__name__)

_OF_ACTIVE_USERS: Final = users.join(organizations, organizations.c.id == users.c.organization_id)
_USER_COLUMNS: Final = (users.c.id, users.c.organization_id, users.c.permissions)
_ACTIVE: Final = and_(users.c.active == true(), organizations.c.active == true())

_TOKEN: Final = (
    select(tokens.c.digest, tokens.c.expires_at, *_USER_COLUMNS)
    .select_from(_OF_ACTIVE_USERS.join(tokens, tokens.c.user_id == users.c.id))
    .where(tokens.c.prefix == bindparam("prefix"), tokens.c.revoked_at.is_(None), _ACTIVE)
)
_SUBJECT: Final = (
    select(*_USER_COLUMNS).select_from(_OF_ACTIVE_USERS).where(users.c.subject == bindparam("subject"), _ACTIVE)
)
_STANDING: Final = (
    select(partnerships.c.partner_id)
    .select_from(
        organizations.outerjoin(
            partnerships,
            and_(
                partnerships.c.partner_id == organizations.c.id,
                partnerships.c.organization_id == bindparam("organization_id"),
                partnerships.c.active == true(),
            ),
        )
    )
    .where(organizations.c.id == bindparam("other_id"), organizations.c.active == true())
)


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token that is not revoked, of an active user of an active organization. It may have expired."""

    principal: Principal
    digest: bytes = field(repr=False)
    expires_at: float | None  # seconds since 1970


class Accounts:
    """The account database. An async context manager: leaving it writes what is pending and closes connections.

    `token`, `subject` and `standing` answer from memory for `TTL` seconds, and raise `AccountsUnavailable` when
    the database does not answer: whoever was let in stays in until then, and nobody else is.
    """

    def __init__(self, settings: AccessSettings) -> None:
        self.engine = engine_for(settings.database_url.get_secret_value())
        self.token_secret = settings.token_secret.get_secret_value().encode()
        self.last_used = LastUsed(self.engine)
        self._tokens = Recent(self._load_token, ttl=TTL, size=_KEPT)
        self._subjects = Recent(self._load_subject, ttl=TTL, size=_KEPT)
        self._standings = Recent(self._load_standing, ttl=TTL, size=_KEPT)

    @property
    def lookups(self) -> Mapping[str, Recent[Any, Any]]:
        """Where each kind of question is counted."""
        return {"token": self._tokens, "subject": self._subjects, "standing": self._standings}

    async def __aenter__(self) -> Self:
        self.last_used.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.last_used.stop()
        await self.engine.dispose()

    async def migrate(self) -> str:
        """Make or update the tables; the schema's revision. Raises `DatabaseNotReady`."""
        with self._explained():
            return await schema.migrate(self.engine)

    async def check_schema(self) -> None:
        """Raise `DatabaseNotReady`, whose text says what to do, unless the tables are those of this version."""
        with self._explained():
            await schema.check(self.engine)

    @asynccontextmanager
    async def administration(self) -> AsyncIterator[Administration]:
        """Changes, all in one transaction: an exception undoes every one of them. Raises `DatabaseNotReady`."""
        with self._explained():
            async with writing(self.engine).begin() as connection:
                yield Administration(Changes(connection), self.token_secret)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as failure:
            # For whoever runs the gateway; the URL is shown without its password.
            raise DatabaseNotReady(
                f"The account database {self.engine.url} does not work: {failure or type(failure).__name__}. "
                "Is it running, and is GATEWAY_DATABASE_URL right?"
            ) from failure

    async def token(self, prefix: str) -> KnownToken | None:
        """The token with this prefix. Who shows it must still be compared with its digest."""
        return await self._tokens.get(prefix)

    async def subject(self, subject: str) -> Principal | None:
        """The active user who is `subject` at the OAuth2 provider."""
        return await self._subjects.get(subject)

    async def standing(self, organization_id: str, other_id: str) -> Standing:
        """What `other_id` is to `organization_id`."""
        return await self._standings.get((organization_id, other_id)) or Standing.ABSENT

    async def _load_token(self, prefix: str) -> KnownToken | None:
        row = await self._one(_TOKEN, {"prefix": prefix})
        if row is None:
            return None
        expires_at = None if row.expires_at is None else row.expires_at.timestamp()
        return KnownToken(_principal(row, prefix), row.digest, expires_at)

    async def _load_subject(self, subject: str) -> Principal | None:
        row = await self._one(_SUBJECT, {"subject": subject})
        return None if row is None else _principal(row, f"jwt:{subject}")

    async def _load_standing(self, ids: tuple[str, str]) -> Standing | None:
        row = await self._one(_STANDING, {"organization_id": ids[0], "other_id": ids[1]})
        if row is None:
            return None
        return Standing.STRANGER if row.partner_id is None else Standing.PARTNER

    async def _one(self, statement: Select[*tuple[Any, ...]], values: dict[str, str]) -> Row[*tuple[Any, ...]] | None:
        try:
            async with asyncio.timeout(_PATIENCE), self.engine.connect() as connection:
                return (await connection.execute(statement, values)).one_or_none()
        except _FAILURES as failure:
            # The class alone: the driver's texts repeat the statement's values.
            _log.exception("accounts_unavailable", failure=type(failure).__name__, exc_info=False)
            raise AccountsUnavailable("Accounts cannot be checked at the moment. Try again shortly.") from failure


def _principal(row: Row[*tuple[Any, ...]], credential: str) -> Principal:
    permissions: Sequence[str] = row.permissions
    return Principal(row.id, row.organization_id, PERMISSIONS & set(permissions), credential)
