"""Many accounts from one file: JSON lines, each an organization, a user or a partnership."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.accounts.administration import Administration, Refused
from gateway.accounts.records import Email, Id, Name, Permission, Subject


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    active: bool = True


class OrganizationLine(_Line):
    """`{"kind": "organization", "id": …, "name": …}`."""

    kind: Literal["organization"]
    id: Id
    name: Name


class UserLine(_Line):
    """`{"kind": "user", "email": …, "organization_id": …, "permissions": ["reports"], "subject": …}`."""

    kind: Literal["user"]
    email: Email
    organization_id: Id
    permissions: frozenset[Permission] = frozenset()
    subject: Subject | None = None


class PartnershipLine(_Line):
    """`{"kind": "partnership", "organization_id": …, "partner_id": …}`."""

    kind: Literal["partnership"]
    organization_id: Id
    partner_id: Id


_ENTRY: Final = TypeAdapter[OrganizationLine | UserLine | PartnershipLine](
    Annotated[OrganizationLine | UserLine | PartnershipLine, Field(discriminator="kind")]
)
# Users and partnerships need their organizations, wherever in the file those stand.
_ORDER: Final = ("organization", "user", "partnership")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file; `number` counts from 1."""

    number: int
    line: OrganizationLine | UserLine | PartnershipLine


def parse(lines: Iterable[bytes]) -> Sequence[Entry]:
    """The entries in the order in which they can be made; empty lines are passed over. Pure.

    Raises `Refused` with every fault of every line.
    """
    entries: list[Entry] = []
    faults: list[str] = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            entries.append(Entry(number, _ENTRY.validate_json(text)))
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_context=False, include_input=False):
                # The first part of a place is the kind of the entry, which the line itself tells.
                place = "".join(f"{part}: " for part in fault["loc"][1:])
                faults.append(f"line {number}: {place}{fault['msg'].removeprefix('Value error, ')}")
    if faults:
        raise Refused("Nothing was imported:\n" + "\n".join(faults))
    return sorted(entries, key=lambda entry: _ORDER.index(entry.line.kind))


async def apply(entries: Sequence[Entry], administration: Administration, *, progress: Callable[[], object]) -> None:
    """Bring each entry to the state it describes; `progress` is called after each."""
    for entry in entries:
        try:
            await _ensure(entry.line, administration)
        except Refused as refused:
            raise Refused(f"Nothing was imported:\nline {entry.number}: {refused}") from None
        progress()


async def _ensure(line: OrganizationLine | UserLine | PartnershipLine, administration: Administration) -> None:
    match line:
        case OrganizationLine():
            await administration.organizations.ensure(line.id, line.name, active=line.active)
        case UserLine():
            await administration.users.ensure(
                line.email, line.organization_id, line.permissions, subject=line.subject, active=line.active
            )
        case PartnershipLine():
            await administration.partnerships.ensure(line.organization_id, line.partner_id, active=line.active)
