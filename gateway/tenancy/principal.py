"""Who is asking."""

from dataclasses import dataclass
from typing import Final

REPORTS: Final = "reports"
"""The permission to ask for reports."""

PERMISSIONS: Final = frozenset({REPORTS})
"""Every permission there is: a name outside this set is never stored and never granted."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated, active user of an active organization.

    `user_id` and `organization_id` are UUIDs in lower case. `credential` names what the caller showed and may be
    logged: a token's public prefix, or "jwt:" and the subject of an OAuth2 access token.
    """

    user_id: str
    organization_id: str
    permissions: frozenset[str]
    credential: str
