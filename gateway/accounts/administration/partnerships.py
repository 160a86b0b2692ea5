"""Partnerships: which organization can request reports about which other one."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select

from gateway.accounts.administration.changes import Changes, Rejected
from gateway.accounts.administration.organizations import Organizations
from gateway.accounts.records import Partnership
from gateway.accounts.tables import partnerships

_ALL: Final = select(partnerships.c.organization_id, partnerships.c.partner_id, partnerships.c.active).order_by(
    partnerships.c.organization_id, partnerships.c.partner_id
)


class Partnerships:
    """See `Administration`. The first organization can request reports about the second: the sessions that the first
    owns and in which the second was involved. The second gains no access.
    """

    def __init__(self, changes: Changes, organizations: Organizations) -> None:
        self._changes = changes
        self._organizations = organizations

    async def all(self, organization_id: str | None = None) -> list[Partnership]:
        """Return all partnerships, or those of one organization."""
        statement = _ALL
        if organization_id is not None:
            organization = await self._organizations.get(organization_id)
            statement = statement.where(partnerships.c.organization_id == organization.id)
        return [Partnership.model_validate(row._asdict()) for row in await self._changes.rows(statement)]

    async def create(self, organization_id: str, partner_id: str, *, active: bool = True) -> Partnership:
        """Create a partnership between two existing organizations."""
        new = await self._between(organization_id, partner_id, active=active)
        await self._changes.insert(
            partnerships,
            {**new.model_dump(), "created_at": datetime.now(UTC)},
            taken=f"{new.organization_id} already has a partnership with {new.partner_id}.",
        )
        return new

    async def ensure(self, organization_id: str, partner_id: str, *, active: bool = True) -> Partnership:
        """Create or update a partnership."""
        wanted = await self._between(organization_id, partner_id, active=active)
        if await self._changes.update(partnerships, _key(wanted), {"active": active}):
            return wanted
        return await self.create(organization_id, partner_id, active=active)

    async def set_active(self, organization_id: str, partner_id: str, *, active: bool) -> Partnership:
        """Activate or deactivate. Without an active partnership, requests for the partner get 403."""
        wanted = await self._between(organization_id, partner_id, active=active)
        if not await self._changes.update(partnerships, _key(wanted), {"active": active}):
            raise Rejected(f"{wanted.organization_id} has no partnership with {wanted.partner_id}.")
        return wanted

    async def _between(self, organization_id: str, partner_id: str, *, active: bool) -> Partnership:
        organization = await self._organizations.get(organization_id)
        partner = await self._organizations.get(partner_id)
        if organization.id == partner.id:
            raise Rejected("An organization needs no partnership with itself.")
        return Partnership(organization_id=organization.id, partner_id=partner.id, active=active)


def _key(partnership: Partnership) -> dict[str, str]:
    return {"organization_id": partnership.organization_id, "partner_id": partnership.partner_id}
