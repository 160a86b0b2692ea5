"""Users: each belongs to one organization for ever."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import or_, select

from gateway.accounts.administration.changes import Changes, Refused, parsed
from gateway.accounts.administration.organizations import Organizations
from gateway.accounts.records import Email, Id, Permission, Subject, User
from gateway.accounts.tables import users

_ID: Final = TypeAdapter[str](Id)
_EMAIL: Final = TypeAdapter[str](Email)
_SUBJECT: Final = TypeAdapter[str | None](Subject | None)
_PERMISSIONS: Final = TypeAdapter[frozenset[str]](frozenset[Permission])
_ALL: Final = select(
    users.c.id, users.c.organization_id, users.c.email, users.c.subject, users.c.permissions, users.c.active
)
_TAKEN: Final = "Another user has this id, e-mail address or subject."


class Users:
    """See `Administration`."""

    def __init__(self, changes: Changes, organizations: Organizations) -> None:
        self._changes = changes
        self._organizations = organizations

    async def all(self, organization_id: str | None = None) -> list[User]:
        """Everybody, or the users of one organization, by e-mail address."""
        statement = _ALL.order_by(users.c.email)
        if organization_id is not None:
            organization = await self._organizations.get(organization_id)
            statement = statement.where(users.c.organization_id == organization.id)
        return [User.model_validate(row._asdict()) for row in await self._changes.rows(statement)]

    async def get(self, user: str) -> User:
        """The one with this id or e-mail address."""
        found = await self._find(user)
        if found is None:
            raise Refused(f"There is no user {user}.")
        return found

    async def create(
        self,
        email: str,
        organization_id: str,
        permissions: Iterable[str] = (),
        *,
        subject: str | None = None,
        active: bool = True,
    ) -> User:
        """A new user of an existing organization."""
        new = User(
            id=str(uuid.uuid4()),
            organization_id=(await self._organizations.get(organization_id)).id,
            email=parsed(_EMAIL, email),
            subject=parsed(_SUBJECT, subject),
            permissions=parsed(_PERMISSIONS, set(permissions)),
            active=active,
        )
        await self._changes.insert(users, {**_row(new), "created_at": datetime.now(UTC)}, taken=_TAKEN)
        return new

    async def ensure(
        self,
        email: str,
        organization_id: str,
        permissions: Iterable[str] = (),
        *,
        subject: str | None = None,
        active: bool = True,
    ) -> User:
        """A user with this address, permissions, subject and state.

        A user of another organization is refused, not moved: its tokens would show other rows than they were
        given out for.
        """
        found = await self._find(parsed(_EMAIL, email))
        if found is None:
            return await self.create(email, organization_id, permissions, subject=subject, active=active)
        if found.organization_id != parsed(_ID, organization_id):
            raise Refused(f"The user {found.email} belongs to organization {found.organization_id} and stays there.")
        return await self._replace(
            User(
                id=found.id,
                organization_id=found.organization_id,
                email=found.email,
                subject=parsed(_SUBJECT, subject),
                permissions=parsed(_PERMISSIONS, set(permissions)),
                active=active,
            )
        )

    async def set_active(self, user: str, *, active: bool) -> User:
        """A deactivated user is not let in, with whatever credential."""
        return await self._replace((await self.get(user)).model_copy(update={"active": active}))

    async def grant(self, user: str, permission: str) -> User:
        """Give a permission; having it already is no error."""
        found = await self.get(user)
        added = parsed(_PERMISSIONS, {permission})
        return await self._replace(found.model_copy(update={"permissions": found.permissions | added}))

    async def withdraw(self, user: str, permission: str) -> User:
        """Take a permission away; not having it is no error."""
        found = await self.get(user)
        removed = parsed(_PERMISSIONS, {permission})
        return await self._replace(found.model_copy(update={"permissions": found.permissions - removed}))

    async def _find(self, user: str) -> User | None:
        named = user.strip().lower()
        for row in await self._changes.rows(_ALL.where(or_(users.c.id == named, users.c.email == named))):
            return User.model_validate(row._asdict())
        return None

    async def _replace(self, user: User) -> User:
        await self._changes.update(users, {"id": user.id}, _row(user), taken=_TAKEN)
        return user


def _row(user: User) -> Mapping[str, object]:
    return {**user.model_dump(), "permissions": sorted(user.permissions)}
