"""Tenants for tests: made by `authorize`, as every one is."""

import asyncio
from uuid import UUID

from gateway.tenancy.principal import REPORTS, Principal
from gateway.tenancy.tenant import Standing, Tenant, authorize

DOCUMENTED = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"
"""The organization of the contract's example, which the sample data has."""
PARTNER = "c7d0f6a4-1c5e-11e5-9f3c-6c4008adf7e8"
"""Its partner in the sample data."""


class AllPartners:
    """An account store in which every organization is a partner of every other."""

    async def standing(self, organization_id: str, other_id: str) -> Standing:
        UUID(organization_id), UUID(other_id)
        return Standing.PARTNER


def tenant_of(owner: str = DOCUMENTED, partner: str | None = None) -> Tenant:
    """Return the tenant of a caller of `owner` who asks for its own organization, or for `partner`."""
    principal = Principal("5f1c3a60-0000-4000-8000-0000000000aa", owner, frozenset({REPORTS}), "abcdefgh")
    return asyncio.run(authorize(principal, partner or owner, AllPartners()))
