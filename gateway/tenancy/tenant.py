"""Whose rows a caller may see: the only module that creates a `Tenant`.

It does no I/O itself, so that the pure query language can import `Tenant`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn, Protocol, final

from gateway.errors import Forbidden, NotFound
from gateway.tenancy.organization_id import OrganizationId, parse_organization_id
from gateway.tenancy.principal import REPORTS, Principal


class Standing(Enum):
    """The relation of another organization to the caller's."""

    ABSENT = "absent"  # never existed, or deactivated
    STRANGER = "stranger"
    PARTNER = "partner"


class Partnerships(Protocol):
    """What authorization needs from the account store."""

    async def standing(self, organization_id: OrganizationId, other_id: OrganizationId) -> Standing:
        """Return the relation of `other_id` to `organization_id`."""
        ...


class IdFormat(Protocol):
    """What authorization needs from the data set: the form of its organizations' ids."""

    @property
    def accepts(self) -> Callable[[str], bool]:
        """Return the function that decides whether an id has the form."""
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

    owner_organization_id: OrganizationId
    involved_organization_id: OrganizationId | None

    def __init__(
        self, owner_organization_id: OrganizationId, involved_organization_id: OrganizationId | None, *, seal: _Seal
    ) -> None:
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


async def authorize(principal: Principal, organization_id: str, id_format: IdFormat, accounts: Partnerships) -> Tenant:
    """Return the tenant for reports of `principal` on `organization_id`, which comes from the path.

    For the caller's own organization, that is the rows that it owns. For a partner, it is the rows that the caller's
    organization owns and in which the partner was involved. The ids of both have the data set's `id_format`.

    Raises `NotFound` if no such active organization exists, `Forbidden` if the caller's organization has no active
    partnership with it or the caller lacks the permission `reports`, and `AccountsUnavailable` if the account store
    does not respond.
    """
    try:
        requested = parse_organization_id(organization_id)
    except ValueError:
        raise NotFound("No such organization.") from None
    if not id_format.accepts(requested):
        raise NotFound("No such organization.")
    involved = None
    if requested != principal.organization_id:
        standing = await accounts.standing(principal.organization_id, requested)
        if standing is Standing.ABSENT:
            raise NotFound("No such organization.")
        if standing is not Standing.PARTNER:
            raise Forbidden("You have no access to this organization.")
        involved = requested
    if not id_format.accepts(principal.organization_id):
        raise Forbidden("Your organization has no rows in this data set.")
    if REPORTS not in principal.permissions:
        raise Forbidden("You have no permission to request reports.")
    return Tenant(principal.organization_id, involved, seal=_SEAL)
