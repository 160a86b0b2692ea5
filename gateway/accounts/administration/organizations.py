"""Organizations: the tenants."""

import uuid
from datetime import UTC, datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import select

from gateway.accounts.administration.changes import Changes, Refused, parsed
from gateway.accounts.records import Id, Name, Organization
from gateway.accounts.tables import organizations

_ID: Final = TypeAdapter[str](Id)
_NAME: Final = TypeAdapter[str](Name)
_ALL: Final = select(organizations.c.id, organizations.c.name, organizations.c.active)


class Organizations:
    """See `Administration`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def all(self) -> list[Organization]:
        """By name."""
        rows = await self._changes.rows(_ALL.order_by(organizations.c.name, organizations.c.id))
        return [Organization.model_validate(row._asdict()) for row in rows]

    async def get(self, organization_id: str) -> Organization:
        """The one with this id."""
        wanted = parsed(_ID, organization_id)
        for row in await self._changes.rows(_ALL.where(organizations.c.id == wanted)):
            return Organization.model_validate(row._asdict())
        raise Refused(f"There is no organization {wanted}.")

    async def create(self, name: str, organization_id: str | None = None, *, active: bool = True) -> Organization:
        """A new one, with a random id unless one is given."""
        new = Organization(
            id=parsed(_ID, organization_id or str(uuid.uuid4())), name=parsed(_NAME, name), active=active
        )
        await self._changes.insert(
            organizations,
            {**new.model_dump(), "created_at": datetime.now(UTC)},
            taken=f"There is already an organization {new.id}.",
        )
        return new

    async def ensure(self, organization_id: str, name: str, *, active: bool = True) -> Organization:
        """One with this id, name and state."""
        wanted = Organization(id=parsed(_ID, organization_id), name=parsed(_NAME, name), active=active)
        if await self._changes.update(organizations, {"id": wanted.id}, wanted.model_dump(exclude={"id"})):
            return wanted
        return await self.create(name, wanted.id, active=active)

    async def set_active(self, organization_id: str, *, active: bool) -> Organization:
        """Requests do not know a deactivated organization, and its users are not let in."""
        found = await self.get(organization_id)
        await self._changes.update(organizations, {"id": found.id}, {"active": active})
        return found.model_copy(update={"active": active})
