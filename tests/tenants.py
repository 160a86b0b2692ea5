"""Tenants for tests: made by `authorize`, as every one is."""

import asyncio

from gateway.catalog.id_format import UUID, IdFormat
from gateway.tenancy.organization_id import OrganizationId
from gateway.tenancy.principal import REPORTS, Principal
from gateway.tenancy.tenant import Standing, Tenant, authorize

DOCUMENTED = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"
"""The organization of the contract's example, which the sample data has."""
PARTNER = "c7d0f6a4-1c5e-11e5-9f3c-6c4008adf7e8"
"""Its partner in the sample data."""


class AllPartners:
    """An account store in which every organization is a partner of every other."""

    async def standing(self, organization_id: OrganizationId, other_id: OrganizationId) -> Standing:  # noqa: ARG002
        return Standing.PARTNER


def tenant_of(owner: str = DOCUMENTED, partner: str | None = None, id_format: IdFormat = UUID) -> Tenant:
    """Return the tenant of a caller of `owner` who asks for its own organization, or for `partner`."""
    user = "5f1c3a60-0000-4000-8000-0000000000aa"
    principal = Principal(user, OrganizationId(owner), frozenset({REPORTS}), "abcdefgh")
    return asyncio.run(authorize(principal, partner or owner, id_format, AllPartners()))
