"""Organizations: the tenants."""

import uuid
from datetime import UTC, datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import select

from gateway.accounts.administration.changes import Changes, Rejected, parsed
from gateway.accounts.records import Id, Name, Organization
from gateway.accounts.tables import organizations
from gateway.tenancy.organization_id import OrganizationId

_ID: Final = TypeAdapter[OrganizationId](Id)
_NAME: Final = TypeAdapter[str](Name)
_ALL: Final = select(organizations.c.id, organizations.c.name, organizations.c.active)


class Organizations:
    """See `Administration`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def all(self) -> list[Organization]:
        """Return all organizations, sorted by name."""
        rows = await self._changes.rows(_ALL.order_by(organizations.c.name, organizations.c.id))
        return [Organization.model_validate(row._asdict()) for row in rows]

    async def get(self, organization_id: str) -> Organization:
        """Return the organization with this id."""
        wanted = parsed(_ID, organization_id)
        for row in await self._changes.rows(_ALL.where(organizations.c.id == wanted)):
            return Organization.model_validate(row._asdict())
        raise Rejected(f"No organization {wanted} exists.")

    async def create(self, name: str, organization_id: str | None = None, *, active: bool = True) -> Organization:
        """Create an organization, by default with a random id."""
        new = Organization(
            id=parsed(_ID, organization_id or str(uuid.uuid4())), name=parsed(_NAME, name), active=active
        )
        await self._changes.insert(
            organizations,
            {**new.model_dump(), "created_at": datetime.now(UTC)},
            taken=f"An organization {new.id} already exists.",
        )
        return new

    async def ensure(self, organization_id: str, name: str, *, active: bool = True) -> Organization:
        """Create or update the organization with this id."""
        wanted = Organization(id=parsed(_ID, organization_id), name=parsed(_NAME, name), active=active)
        if await self._changes.update(organizations, {"id": wanted.id}, wanted.model_dump(exclude={"id"})):
            return wanted
        return await self.create(name, wanted.id, active=active)

    async def set_active(self, organization_id: str, *, active: bool) -> Organization:
        """Activate or deactivate. Requests for a deactivated organization get 404; its users get 401."""
        found = await self.get(organization_id)
        await self._changes.update(organizations, {"id": found.id}, {"active": active})
        return found.model_copy(update={"active": active})
