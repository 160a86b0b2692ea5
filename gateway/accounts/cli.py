"""`gateway accounts`: administers organizations, users, tokens and partnerships.

Exit codes: 0 done; 1 rejected (a sentence on standard error says why, and nothing was changed); 2 wrong usage or
settings; 3 the account database is not ready.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from gateway.accounts import importing
from gateway.accounts.administration import Administration, Rejected
from gateway.accounts.output import show, show_one
from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import AccountSettings, SettingsInvalid
from gateway.accounts.store import Accounts

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    help="Administer who can request reports: organizations, users, API tokens and partnerships.\n\n"
    "The database is that of GATEWAY_DATABASE_URL (default: SQLite in var/accounts.db). A change takes effect in "
    "every running gateway within 5 seconds.\n\n"
    "Create a first caller:\n\n"
    "  gateway accounts migrate\n\n"
    "  gateway accounts organizations create 'Example Ltd' --id ID_IN_THE_TENANT_COLUMN\n\n"
    "  gateway accounts users create ann@example.com ID_IN_THE_TENANT_COLUMN --permission reports\n\n"
    "  gateway accounts tokens create ann@example.com --name dashboard",
)
organizations = typer.Typer(no_args_is_help=True, help="Organizations: the tenants.")
users = typer.Typer(
    no_args_is_help=True, help="People and programs that request reports. Each belongs to one organization."
)
partnerships = typer.Typer(no_args_is_help=True, help="Which organization can request reports about which other one.")
tokens = typer.Typer(no_args_is_help=True, help="API tokens. Each belongs to a user and has that user's permissions.")
for name, group in (
    ("organizations", organizations),
    ("users", users),
    ("partnerships", partnerships),
    ("tokens", tokens),
):
    app.add_typer(group, name=name)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OrganizationId = Annotated[str, typer.Argument(metavar="ORGANIZATION_ID", help="The organization's id.")]
PartnerId = Annotated[str, typer.Argument(metavar="PARTNER_ID", help="The id of the partner.")]
UserName = Annotated[str, typer.Argument(metavar="USER", help="The user's e-mail address or id.")]
PermissionName = Annotated[str, typer.Argument(metavar="PERMISSION", help="For example: reports.")]
OfOrganization = Annotated[
    str | None, typer.Option("--organization", metavar="ORGANIZATION_ID", help="Only those of this organization.")
]


def _fail(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(code)


def _with_accounts(work: Callable[[Accounts], Awaitable[T]]) -> T:
    async def run(settings: AccountSettings) -> T:
        async with Accounts(settings) as accounts:
            return await work(accounts)

    try:
        return asyncio.run(run(AccountSettings.from_environment()))
    except SettingsInvalid as error:
        _fail(str(error), 2)
    except Rejected as error:
        _fail(str(error), 1)
    except DatabaseNotReady as error:
        _fail(str(error), 3)


def _change(work: Callable[[Administration], Awaitable[T]]) -> T:
    async def in_one_transaction(accounts: Accounts) -> T:
        await accounts.check_schema()
        async with accounts.administration() as administration:
            return await work(administration)

    return _with_accounts(in_one_transaction)


@app.command()
def migrate() -> None:
    """Create or update the database's tables. Repeating it changes nothing."""
    print(f"The account database is at revision {_with_accounts(Accounts.migrate)}.")


@app.command(name="import")
def import_(
    file: Annotated[typer.FileBinaryRead, typer.Argument(metavar="FILE", help="JSON lines; - reads standard input.")],
) -> None:
    """Create or update all accounts that a file describes. If one fails, nothing changes.

    The file contains one JSON object per line, in any order. Repeating an import changes nothing.

      {"kind": "organization", "id": "b0a1d32b-e82c-11e4-b081-6c4008adf7e8", "name": "Example Ltd"}

      {"kind": "user", "email": "ann@example.com", "organization_id": "b0a1…", "permissions": ["reports"]}

      {"kind": "partnership", "organization_id": "b0a1…", "partner_id": "c93f…", "active": false}

    Each object can have "active" (default true). A user can have "subject", its id at the OAuth2 provider.
    """

    async def work(accounts: Accounts) -> int:
        await accounts.check_schema()
        entries = importing.parse(file)
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("Importing", total=len(entries))
            async with accounts.administration() as administration:
                await importing.apply(entries, administration, progress=lambda: progress.advance(task))
        return len(entries)

    print(f"Imported {_with_accounts(work)} entries.")


@organizations.command("create")
def create_organization(
    name: Annotated[str, typer.Argument(help="The organization's name.")],
    organization_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="The id in the tenant column of your data: a UUID, a number or a name. Default: a UUID.",
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Create an organization and print its id."""
    created = _change(lambda accounts: accounts.organizations.create(name, organization_id))
    show_one(created, sentence=created.id, as_json=as_json)


@organizations.command("list")
def list_organizations(*, as_json: Json = False) -> None:
    """List all organizations."""
    found = _change(lambda accounts: accounts.organizations.all())
    show(found, columns=("id", "name", "active"), as_json=as_json)


@organizations.command("deactivate")
def deactivate_organization(organization_id: OrganizationId, *, as_json: Json = False) -> None:
    """Deactivate an organization: its users cannot authenticate, and requests for it get 404."""
    changed = _change(lambda accounts: accounts.organizations.set_active(organization_id, active=False))
    show_one(changed, sentence=f"{changed.name} is deactivated.", as_json=as_json)


@organizations.command("activate")
def activate_organization(organization_id: OrganizationId, *, as_json: Json = False) -> None:
    """Activate it again."""
    changed = _change(lambda accounts: accounts.organizations.set_active(organization_id, active=True))
    show_one(changed, sentence=f"{changed.name} is active.", as_json=as_json)


@users.command("create")
def create_user(
    email: Annotated[str, typer.Argument(help="The user's e-mail address, by which other commands name the user.")],
    organization_id: OrganizationId,
    permission: Annotated[
        list[str] | None, typer.Option(help="Can be repeated. Without 'reports', every report gets 403.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="The user's id at the OAuth2 provider: the value of the user claim.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Create a user and print its id."""
    created = _change(lambda accounts: accounts.users.create(email, organization_id, permission or (), subject=subject))
    show_one(created, sentence=created.id, as_json=as_json)
    if "reports" not in created.permissions:
        remedy = f"gateway accounts users grant {email} reports"
        print(f"The user cannot request reports yet: {remedy}", file=sys.stderr)


@users.command("list")
def list_users(organization: OfOrganization = None, *, as_json: Json = False) -> None:
    """List users and their permissions."""
    found = _change(lambda accounts: accounts.users.all(organization))
    columns = ("email", "organization_id", "permissions", "subject", "active")
    show(found, columns=columns, as_json=as_json)


@users.command("deactivate")
def deactivate_user(user: UserName, *, as_json: Json = False) -> None:
    """Deactivate a user: all of its credentials are rejected."""
    changed = _change(lambda accounts: accounts.users.set_active(user, active=False))
    show_one(changed, sentence=f"{changed.email} is deactivated.", as_json=as_json)


@users.command("activate")
def activate_user(user: UserName, *, as_json: Json = False) -> None:
    """Activate it again."""
    changed = _change(lambda accounts: accounts.users.set_active(user, active=True))
    show_one(changed, sentence=f"{changed.email} is active.", as_json=as_json)


@users.command("grant")
def grant(user: UserName, permission: PermissionName, *, as_json: Json = False) -> None:
    """Grant a permission to a user."""
    changed = _change(lambda accounts: accounts.users.grant(user, permission))
    show_one(changed, sentence=f"{changed.email} has the permission {permission}.", as_json=as_json)


@users.command("withdraw")
def withdraw(user: UserName, permission: PermissionName, *, as_json: Json = False) -> None:
    """Withdraw a permission from a user."""
    changed = _change(lambda accounts: accounts.users.withdraw(user, permission))
    show_one(changed, sentence=f"{changed.email} has no permission {permission}.", as_json=as_json)


@partnerships.command("create")
def create_partnership(organization_id: OrganizationId, partner_id: PartnerId, *, as_json: Json = False) -> None:
    """Let an organization request reports about a partner: its own sessions in which the partner took part."""
    created = _change(lambda accounts: accounts.partnerships.create(organization_id, partner_id))
    show_one(
        created, sentence=f"{created.organization_id} can request reports about {created.partner_id}.", as_json=as_json
    )


@partnerships.command("list")
def list_partnerships(organization: OfOrganization = None, *, as_json: Json = False) -> None:
    """List partnerships."""
    found = _change(lambda accounts: accounts.partnerships.all(organization))
    show(found, columns=("organization_id", "partner_id", "active"), as_json=as_json)


@partnerships.command("deactivate")
def deactivate_partnership(organization_id: OrganizationId, partner_id: PartnerId, *, as_json: Json = False) -> None:
    """Deactivate a partnership: requests for the partner get 403."""
    changed = _change(lambda accounts: accounts.partnerships.set_active(organization_id, partner_id, active=False))
    show_one(
        changed,
        sentence=f"{changed.organization_id} can no longer request reports about {changed.partner_id}.",
        as_json=as_json,
    )


@partnerships.command("activate")
def activate_partnership(organization_id: OrganizationId, partner_id: PartnerId, *, as_json: Json = False) -> None:
    """Activate it again."""
    changed = _change(lambda accounts: accounts.partnerships.set_active(organization_id, partner_id, active=True))
    show_one(
        changed, sentence=f"{changed.organization_id} can request reports about {changed.partner_id}.", as_json=as_json
    )


@tokens.command("create")
def create_token(
    user: UserName,
    name: Annotated[str, typer.Option(help="What the token is for. It helps to decide which token to revoke.")],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days until it expires. Default: never.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Create a token and print it. It cannot be shown again."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    created = _change(lambda accounts: accounts.tokens.create(user, name, expires_at))
    show_one(created, sentence=created.text, as_json=as_json)
    if not as_json:
        print("Store it now: it is not shown again.", file=sys.stderr)


@tokens.command("list")
def list_tokens(
    user: Annotated[str | None, typer.Option("--user", metavar="USER", help="Only those of this user.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """List tokens with their public prefix and the time of their last use (UTC)."""
    found = _change(lambda accounts: accounts.tokens.all(user))
    columns = ("prefix", "name", "email", "state", "created_at", "expires_at", "last_used_at")
    show(found, columns=columns, as_json=as_json)


@tokens.command("revoke")
def revoke_token(
    prefix: Annotated[str, typer.Argument(help="The public part of the token: gwt_PREFIX_…")],
    *,
    as_json: Json = False,
) -> None:
    """Revoke a token permanently."""
    revoked = _change(lambda accounts: accounts.tokens.revoke(prefix))
    show_one(revoked, sentence=f"{revoked.prefix} ({revoked.name}) is revoked.", as_json=as_json)
