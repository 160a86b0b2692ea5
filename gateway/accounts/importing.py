"""Imports accounts from JSON lines, each an organization, a user or a partnership."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.accounts.administration import Administration, Rejected
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
# Users and partnerships are created after organizations, in whatever order the file lists them.
_ORDER: Final = ("organization", "user", "partnership")
_SHOWN: Final = 50  # problems


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the file; `number` starts at 1."""

    number: int
    line: OrganizationLine | UserLine | PartnershipLine


def parse(lines: Iterable[bytes]) -> Sequence[Entry]:
    """Return the entries in the order in which they can be created; empty lines are ignored. Pure.

    Raises `Rejected` with the first problems of the file.
    """
    entries: list[Entry] = []
    problems: list[str] = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            entries.append(Entry(number, _ENTRY.validate_json(text)))
        except ValidationError as error:
            problems += (f"line {number}: {problem}" for problem in _problems(text, error))
    if problems:
        more = len(problems) - _SHOWN
        rest = [f"and {more} more problems"] if more > 0 else []
        raise Rejected("\n".join(["Nothing was imported:", *problems[:_SHOWN], *rest]))
    return sorted(entries, key=lambda entry: _ORDER.index(entry.line.kind))


def _problems(text: bytes, error: ValidationError) -> Iterator[str]:
    try:
        text.decode()
    except UnicodeDecodeError:
        yield "not UTF-8 text: save the file as UTF-8"
        return
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        # The first part of the location is the entry's kind, which the line itself contains.
        location = "".join(f"{part}: " for part in problem["loc"][1:])
        yield f"{location}{problem['msg'].removeprefix('Value error, ')}"


async def apply(entries: Sequence[Entry], administration: Administration, *, progress: Callable[[], object]) -> None:
    """Create or update each entry; call `progress` after each."""
    for entry in entries:
        try:
            await _ensure(entry.line, administration)
        except Rejected as error:
            raise Rejected(f"Nothing was imported:\nline {entry.number}: {error}") from None
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
