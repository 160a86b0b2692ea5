"""Whose rows a caller may see: the only module that creates a `Tenant`.

It does no I/O itself, so that the pure query language can import `Tenant`.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn, Protocol, final

from gateway.errors import Forbidden, NotFound
from gateway.tenancy.principal import REPORTS, Principal

_CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Standing(Enum):
    """The relation of another organization to the caller's."""

    ABSENT = "absent"  # never existed, or deactivated
    STRANGER = "stranger"
    PARTNER = "partner"


class Partnerships(Protocol):
    """What authorization needs from the account store."""

    async def standing(self, organization_id: str, other_id: str) -> Standing:
        """Return the relation of `other_id` to `organization_id`; both are canonical."""
        ...


@final
class _Seal:
    """The argument that creating a `Tenant` requires and only `authorize` has; mypy notices if it is missing."""

    __slots__ = ()


_SEAL: Final = _Seal()


@final
@dataclass(frozen=True, slots=True, init=False)
class Tenant:
    """The rows that a caller may see: those that `owner_organization_id` owns and, if `involved_organization_id` is
    set, in which that organization was also involved.

    Only `authorize` creates one. A tenant belongs to one request: it cannot be copied, replaced or unpickled.
    """

    owner_organization_id: str
    involved_organization_id: str | None

    def __init__(self, owner_organization_id: str, involved_organization_id: str | None, *, seal: _Seal) -> None:
        # Checked before any attribute is set; the __post_init__ of a dataclass would run too late.
        if seal is not _SEAL:
            raise TypeError("only gateway.tenancy.tenant.authorize creates a Tenant")
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
    """Return the tenant for reports of `principal` on `organization_id`, which comes from the path.

    For the caller's own organization, that is the rows that it owns. For a partner, it is the rows that the caller's
    organization owns and in which the partner was involved.

    Raises `NotFound` if no such active organization exists, `Forbidden` if the caller's organization has no active
    partnership with it or the caller lacks the permission `reports`, and `AccountsUnavailable` if the account store
    does not respond.
    """
    requested = organization_id.lower()
    if not _CANONICAL_UUID.fullmatch(requested):
        raise NotFound("No such organization.")
    involved = None
    if requested != principal.organization_id:
        standing = await accounts.standing(principal.organization_id, requested)
        if standing is Standing.ABSENT:
            raise NotFound("No such organization.")
        if standing is not Standing.PARTNER:
            raise Forbidden("You have no access to this organization.")
        involved = requested
    if REPORTS not in principal.permissions:
        raise Forbidden("You have no permission to request reports.")
    return Tenant(principal.organization_id, involved, seal=_SEAL)
