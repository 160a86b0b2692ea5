"""The account database (SQLite or PostgreSQL): cached, time-limited lookups for requests, and administration."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import structlog
from sqlalchemy import Row, Select, and_, bindparam, or_, select, true

from gateway.accounts import schema
from gateway.accounts.administration import Administration
from gateway.accounts.administration.changes import Changes
from gateway.accounts.database import engine_for, shown, writing
from gateway.accounts.failures import FAILURES, reason
from gateway.accounts.last_used import LastUsed
from gateway.accounts.lookup_cache import LookupCache
from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import AccountSettings
from gateway.accounts.tables import organizations, partnerships, tokens, users
from gateway.errors import AccountsUnavailable
from gateway.telemetry.instruments import Instruments, timed
from gateway.tenancy.organization_id import OrganizationId
from gateway.tenancy.principal import PERMISSIONS, Principal
from gateway.tenancy.tenant import Standing

V = TypeVar("V")

TTL: Final = 3.0
"""Seconds for which a result of the database is cached: a revoked credential works for at most this long."""

_TIMEOUT: Final = 2.0  # seconds that a request waits for the database
_CACHE_SIZE: Final = 50_000  # results of each kind; some 500 bytes each

_log = structlog.get_logger(__name__)

_USERS_OF_ORGANIZATIONS: Final = users.join(organizations, organizations.c.id == users.c.organization_id)
_USER_COLUMNS: Final = (users.c.id, users.c.organization_id, users.c.permissions)
_ACTIVE: Final = and_(users.c.active == true(), organizations.c.active == true())

_TOKEN: Final = (
    select(tokens.c.digest, tokens.c.expires_at, *_USER_COLUMNS)
    .select_from(_USERS_OF_ORGANIZATIONS.join(tokens, tokens.c.user_id == users.c.id))
    .where(tokens.c.prefix == bindparam("prefix"), tokens.c.revoked_at.is_(None), _ACTIVE)
)
_SUBJECT: Final = (
    select(*_USER_COLUMNS).select_from(_USERS_OF_ORGANIZATIONS).where(users.c.subject == bindparam("subject"), _ACTIVE)
)
# Each organization, with its active partnership to `organization_id`, if there is one.
_ORGANIZATIONS_AS_PARTNERS: Final = organizations.outerjoin(
    partnerships,
    and_(
        partnerships.c.partner_id == organizations.c.id,
        partnerships.c.organization_id == bindparam("organization_id"),
        partnerships.c.active == true(),
    ),
)
_STANDING: Final = (
    select(partnerships.c.partner_id)
    .select_from(_ORGANIZATIONS_AS_PARTNERS)
    .where(organizations.c.id == bindparam("other_id"), organizations.c.active == true())
)
_ORGANIZATIONS: Final = (
    select(organizations.c.id, organizations.c.name)
    .select_from(_ORGANIZATIONS_AS_PARTNERS)
    .where(
        organizations.c.active == true(),
        or_(organizations.c.id == bindparam("organization_id"), partnerships.c.partner_id.is_not(None)),
    )
    .order_by(organizations.c.name, organizations.c.id)
)


@dataclass(frozen=True, slots=True)
class KnownOrganization:
    """An active organization."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token that is not revoked, of an active user of an active organization. It may have expired."""

    principal: Principal
    digest: bytes = field(repr=False)
    expires_at: float | None  # seconds since 1970


class Accounts:
    """The account database. An async context manager: leaving it writes pending data and closes connections.

    `token`, `subject`, `standing` and `organizations` cache results for `TTL` seconds. If the database does not
    respond, they raise `AccountsUnavailable` for everything that is not cached.
    """

    def __init__(self, settings: AccountSettings, instruments: Instruments | None = None) -> None:
        self._url = settings.database_url.get_secret_value()
        self._instruments = instruments or Instruments()
        self.engine = engine_for(self._url)
        self.token_secret = settings.token_secret.get_secret_value().encode()
        self.last_used = LastUsed(self.engine)
        self._tokens = self._cache("token", self._load_token)
        self._subjects = self._cache("subject", self._load_subject)
        self._standings = self._cache("standing", self._load_standing)
        self._organizations = self._cache("organizations", self._load_organizations)

    async def __aenter__(self) -> Self:
        await self.last_used.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.last_used.__aexit__(kind, error, traceback)
        await self.engine.dispose()

    async def migrate(self) -> str:
        """Create or update the tables; return the schema's revision. Raises `DatabaseNotReady`."""
        with self._not_ready_on_failure():
            return await schema.migrate(self.engine)

    async def check_schema(self) -> str:
        """Return the schema's revision. Raises `DatabaseNotReady`, whose message says what to do."""
        with self._not_ready_on_failure():
            return await schema.check(self.engine)

    async def is_ready(self) -> bool:
        """Whether the database responds as soon as a lookup needs it to, and this release accepts its schema."""
        with suppress(DatabaseNotReady, TimeoutError):
            async with asyncio.timeout(_TIMEOUT):
                await self.check_schema()
                return True
        return False

    @asynccontextmanager
    async def administration(self) -> AsyncIterator[Administration]:
        """Make changes in one transaction, which an exception rolls back. Raises `DatabaseNotReady`."""
        with self._not_ready_on_failure():
            async with writing(self.engine).begin() as connection:
                yield Administration(Changes(connection), self.token_secret)

    @contextmanager
    def _not_ready_on_failure(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise DatabaseNotReady(
                f"The account database {shown(self._url)} cannot be used: {reason(error)}. "
                "Check that it runs and that GATEWAY_DATABASE_URL is right."
            ) from error

    async def token(self, prefix: str) -> KnownToken | None:
        """Return the token with this prefix. The caller must compare the whole token with its digest."""
        return await self._tokens.get(prefix)

    async def subject(self, subject: str) -> Principal | None:
        """Return the active user with this subject at the OAuth2 provider."""
        return await self._subjects.get(subject)

    async def standing(self, organization_id: OrganizationId, other_id: OrganizationId) -> Standing:
        """Return the relation of `other_id` to `organization_id`."""
        return await self._standings.get((organization_id, other_id)) or Standing.ABSENT

    async def organizations(self, organization_id: str) -> tuple[KnownOrganization, ...]:
        """Return the organizations on which this one may request reports: itself and its partners, by name."""
        return await self._organizations.get(organization_id) or ()

    def _cache(self, kind: str, load: Callable[[Any], Awaitable[V | None]]) -> LookupCache[Any, V]:
        # Children of the counter are looked up once: requests only increment them.
        sources = {
            source: self._instruments.account_lookups.labels(kind, source)
            for source in ("memory", "database", "shared")
        }

        async def measured(key: object) -> V | None:
            with timed(self._instruments.account_database_seconds, kind, success="found") as timer:
                value = await load(key)
                if value is None:
                    timer.outcome = "absent"
                return value

        return LookupCache(measured, ttl=TTL, size=_CACHE_SIZE, count=lambda source: sources[source].inc())

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

    async def _load_organizations(self, organization_id: str) -> tuple[KnownOrganization, ...]:
        rows = await self._all(_ORGANIZATIONS, {"organization_id": organization_id})
        return tuple(KnownOrganization(row.id, row.name) for row in rows)

    async def _one(self, statement: Select[*tuple[Any, ...]], values: dict[str, str]) -> Row[*tuple[Any, ...]] | None:
        rows = await self._all(statement, values)
        return rows[0] if rows else None

    async def _all(
        self, statement: Select[*tuple[Any, ...]], values: dict[str, str]
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        try:
            async with asyncio.timeout(_TIMEOUT), self.engine.connect() as connection:
                return (await connection.execute(statement, values)).all()
        except FAILURES as error:
            # Only the class: a driver's message can repeat the statement's values.
            _log.error("accounts_unavailable", error=type(error).__name__)
            raise AccountsUnavailable("Accounts cannot be checked at the moment. Try again shortly.") from error


def _principal(row: Row[*tuple[Any, ...]], credential: str) -> Principal:
    permissions: Sequence[str] = row.permissions
    return Principal(row.id, OrganizationId(row.organization_id), PERMISSIONS & set(permissions), credential)
