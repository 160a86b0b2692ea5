"""Who the caller is."""

from dataclasses import dataclass
from typing import Final

from gateway.tenancy.organization_id import OrganizationId

REPORTS: Final = "reports"
"""The permission to request reports."""

PERMISSIONS: Final = frozenset({REPORTS})
"""All permissions. A name outside this set is never stored and never granted."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated, active user of an active organization.

    `user_id` is a UUID in lower case. `credential` identifies the credential that the caller sent, and may be logged:
    a token's public prefix, or "jwt:" and the subject of an OAuth2 access token.
    """

    user_id: str
    organization_id: OrganizationId
    permissions: frozenset[str]
    credential: str
