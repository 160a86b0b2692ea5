"""Whose rows may be shown: the one place where a caller's right to ask becomes a `Tenant`.

Nothing here does I/O of its own, so that the pure query language can import `Tenant`.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn, Protocol, final

from gateway.errors import Forbidden, NotFound
from gateway.tenancy.principal import REPORTS, Principal

_CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Standing(Enum):
    """What another organization is to the one that asks."""

    ABSENT = "absent"  # never existed, or deactivated
    STRANGER = "stranger"
    PARTNER = "partner"


class Partnerships(Protocol):
    """The one question that authorization asks of the account store."""

    async def standing(self, organization_id: str, other_id: str) -> Standing:
        """What `other_id` is to `organization_id`; both canonical."""
        ...


@final
class _Seal:
    """What only `authorize` holds: without it no `Tenant` is made, and mypy sees a missing argument."""

    __slots__ = ()


_SEAL: Final = _Seal()


@final
@dataclass(frozen=True, slots=True, init=False)
class Tenant:
    """The rows a caller may see: those owned by `owner_organization_id` and, if `involved_organization_id` is
    set, among them only those that this organization was involved in.

    Made only by `authorize`. There is no copying, replacing or unpickling one: a tenant belongs to the request
    it was made for.
    """

    owner_organization_id: str
    involved_organization_id: str | None

    def __init__(self, owner_organization_id: str, involved_organization_id: str | None, *, seal: _Seal) -> None:
        # Checked before anything is set: a dataclass's __post_init__ would come too late.
        if seal is not _SEAL:
            raise TypeError("a Tenant is made only by gateway.tenancy.tenant.authorize")
        object.__setattr__(self, "owner_organization_id", owner_organization_id)
        object.__setattr__(self, "involved_organization_id", involved_organization_id)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Tenant has no subclasses")

    def __reduce_ex__(self, _protocol: object, /) -> NoReturn:
        raise TypeError("a Tenant is neither copied nor pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Tenant is neither copied nor pickled")

    def __setstate__(self, _state: object) -> NoReturn:
        raise TypeError("a Tenant is neither copied nor unpickled")


async def authorize(principal: Principal, organization_id: str, accounts: Partnerships) -> Tenant:
    """Let `principal` ask about `organization_id` (as it stands in the path), or refuse.

    The caller's own organization: the rows it owns. A partner of it: the rows the caller's organization owns and
    the partner was involved in.

    Raises `NotFound` where no such active organization exists (whoever asks), `Forbidden` where the caller's
    organization has no active partnership with it or the caller lacks the permission `reports`, and
    `AccountsUnavailable` where nobody can say.
    """
    asked = organization_id.lower()
    if not _CANONICAL_UUID.fullmatch(asked):
        raise NotFound("There is no such organization.")
    involved = None
    if asked != principal.organization_id:
        standing = await accounts.standing(principal.organization_id, asked)
        if standing is Standing.ABSENT:
            raise NotFound("There is no such organization.")
        if standing is not Standing.PARTNER:
            raise Forbidden("You have no access to this organization.")
        involved = asked
    if REPORTS not in principal.permissions:
        raise Forbidden("You have no permission to ask for reports.")
    return Tenant(principal.organization_id, involved, seal=_SEAL)
