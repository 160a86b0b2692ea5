"""Users. Each belongs to one organization permanently."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import or_, select

from gateway.accounts.administration.changes import Changes, Rejected, encodable, parsed
from gateway.accounts.administration.organizations import Organizations
from gateway.accounts.records import Email, Id, Permission, Subject, User
from gateway.accounts.tables import users
from gateway.tenancy.organization_id import OrganizationId

_ID: Final = TypeAdapter[OrganizationId](Id)
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
        """Return all users, or those of one organization, sorted by e-mail address."""
        statement = _ALL.order_by(users.c.email)
        if organization_id is not None:
            organization = await self._organizations.get(organization_id)
            statement = statement.where(users.c.organization_id == organization.id)
        return [User.model_validate(row._asdict()) for row in await self._changes.rows(statement)]

    async def get(self, user: str) -> User:
        """Return the user with this id or e-mail address."""
        found = await self._find(user)
        if found is None:
            raise Rejected(f"No user {user!r} exists.")
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
        """Create a user of an existing organization."""
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
        """Create or update the user with this address.

        A user of another organization is rejected and not moved: its tokens would show other rows than before.
        """
        found = await self._find(parsed(_EMAIL, email))
        if found is None:
            return await self.create(email, organization_id, permissions, subject=subject, active=active)
        if found.organization_id != parsed(_ID, organization_id):
            raise Rejected(f"The user {found.email} belongs to {found.organization_id} and cannot be moved.")
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
        """Activate or deactivate. All credentials of a deactivated user are rejected."""
        return await self._replace((await self.get(user)).model_copy(update={"active": active}))

    async def grant(self, user: str, permission: str) -> User:
        """Grant a permission. Granting it again is no error."""
        found = await self.get(user)
        added = parsed(_PERMISSIONS, {permission})
        return await self._replace(found.model_copy(update={"permissions": found.permissions | added}))

    async def withdraw(self, user: str, permission: str) -> User:
        """Withdraw a permission. Withdrawing one that the user does not have is no error."""
        found = await self.get(user)
        removed = parsed(_PERMISSIONS, {permission})
        return await self._replace(found.model_copy(update={"permissions": found.permissions - removed}))

    async def _find(self, user: str) -> User | None:
        named = encodable(user.strip().lower())
        for row in await self._changes.rows(_ALL.where(or_(users.c.id == named, users.c.email == named))):
            return User.model_validate(row._asdict())
        return None

    async def _replace(self, user: User) -> User:
        await self._changes.update(users, {"id": user.id}, _row(user), taken=_TAKEN)
        return user


def _row(user: User) -> Mapping[str, object]:
    return {**user.model_dump(), "permissions": sorted(user.permissions)}
