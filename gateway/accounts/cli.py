"""`gateway accounts`: who may ask, administered from a shell.

Exit codes: 0 done, 1 refused (the sentence on stderr says why; nothing was changed), 2 wrong usage or settings,
3 the account database is not ready.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from gateway.accounts import importing
from gateway.accounts.administration import Administration, Refused
from gateway.accounts.output import show, show_one
from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import AccessSettings
from gateway.accounts.store import Accounts

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    help="Who may ask: organizations, their users, API tokens and partnerships.\n\n"
    "The database is the one of GATEWAY_DATABASE_URL (default: SQLite in var/accounts.db). A change counts in "
    "every running gateway within 5 seconds.\n\n"
    "A first caller:\n\n"
    "  gateway accounts migrate\n\n"
    "  gateway accounts organizations create 'Example Ltd'\n\n"
    "  gateway accounts users create ann@example.com ORGANIZATION_ID --permission reports\n\n"
    "  gateway accounts tokens create ann@example.com --name dashboard",
)
organizations = typer.Typer(no_args_is_help=True, help="The tenants.")
users = typer.Typer(no_args_is_help=True, help="People and programs; each belongs to one organization.")
partnerships = typer.Typer(no_args_is_help=True, help="Which organization may ask for which other one.")
tokens = typer.Typer(no_args_is_help=True, help="API tokens; each is a user's and has that user's permissions.")
for name, group in (
    ("organizations", organizations),
    ("users", users),
    ("partnerships", partnerships),
    ("tokens", tokens),
):
    app.add_typer(group, name=name)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
OrganizationId = Annotated[str, typer.Argument(metavar="ORGANIZATION_ID", help="The organization's id.")]
PartnerId = Annotated[str, typer.Argument(metavar="PARTNER_ID", help="The id of the one that may be asked for.")]
UserName = Annotated[str, typer.Argument(metavar="USER", help="The user's e-mail address or id.")]
PermissionName = Annotated[str, typer.Argument(metavar="PERMISSION", help="For example: reports.")]
OfOrganization = Annotated[
    str | None, typer.Option("--organization", metavar="ORGANIZATION_ID", help="Only this organization's.")
]


def _fail(sentence: str, code: int) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(code)


def _with_accounts(work: Callable[[Accounts], Awaitable[T]]) -> T:
    async def run(settings: AccessSettings) -> T:
        async with Accounts(settings) as accounts:
            return await work(accounts)

    try:
        return asyncio.run(run(AccessSettings.from_environment()))
    except ValidationError as error:
        faults = (("_".join(map(str, fault["loc"])).upper(), fault["msg"]) for fault in error.errors())
        _fail("\n".join(f"GATEWAY_{variable}: {message}" for variable, message in faults), 2)
    except Refused as refused:
        _fail(str(refused), 1)
    except DatabaseNotReady as not_ready:
        _fail(str(not_ready), 3)


def _change(work: Callable[[Administration], Awaitable[T]]) -> T:
    async def in_one_transaction(accounts: Accounts) -> T:
        await accounts.check_schema()
        async with accounts.administration() as administration:
            return await work(administration)

    return _with_accounts(in_one_transaction)


@app.command()
def migrate() -> None:
    """Make the database's tables, or bring them up to date. Safe to repeat."""
    print(f"The account database is at revision {_with_accounts(Accounts.migrate)}.")


@app.command(name="import")
def import_(
    file: Annotated[typer.FileBinaryRead, typer.Argument(metavar="FILE", help="JSON lines; - reads standard input.")],
) -> None:
    """Make or update many accounts: all that the file describes, or nothing.

    One JSON object a line, in any order; repeating an import changes nothing:

      {"kind": "organization", "id": "b0a1d32b-e82c-11e4-b081-6c4008adf7e8", "name": "Example Ltd"}

      {"kind": "user", "email": "ann@example.com", "organization_id": "b0a1…", "permissions": ["reports"]}

      {"kind": "partnership", "organization_id": "b0a1…", "partner_id": "c93f…", "active": false}

    "active" (default true) may stand in each, and "subject" in a user's: who it is at the OAuth2 provider.
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
    name: Annotated[str, typer.Argument(help="What people call it.")],
    organization_id: Annotated[
        str | None, typer.Option("--id", metavar="UUID", help="The id it has elsewhere; default: a new one.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make an organization and print its id."""
    made = _change(lambda accounts: accounts.organizations.create(name, organization_id))
    show_one(made, sentence=made.id, as_json=as_json)


@organizations.command("list")
def list_organizations(*, as_json: Json = False) -> None:
    """Show every organization."""
    found = _change(lambda accounts: accounts.organizations.all())
    show(found, columns=("id", "name", "active"), as_json=as_json)


@organizations.command("deactivate")
def deactivate_organization(organization_id: OrganizationId, *, as_json: Json = False) -> None:
    """Let none of its users in, and nobody ask for it."""
    changed = _change(lambda accounts: accounts.organizations.set_active(organization_id, active=False))
    show_one(changed, sentence=f"{changed.name} is deactivated.", as_json=as_json)


@organizations.command("activate")
def activate_organization(organization_id: OrganizationId, *, as_json: Json = False) -> None:
    """Undo a deactivation."""
    changed = _change(lambda accounts: accounts.organizations.set_active(organization_id, active=True))
    show_one(changed, sentence=f"{changed.name} is active.", as_json=as_json)


@users.command("create")
def create_user(
    email: Annotated[str, typer.Argument(help="The user's e-mail address, which names it from now on.")],
    organization_id: OrganizationId,
    permission: Annotated[
        list[str] | None, typer.Option(help="May be repeated. Without 'reports', every report is refused.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Who the user is at the OAuth2 provider: the user claim's value.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a user and print its id."""
    made = _change(lambda accounts: accounts.users.create(email, organization_id, permission or (), subject=subject))
    show_one(made, sentence=made.id, as_json=as_json)


@users.command("list")
def list_users(organization: OfOrganization = None, *, as_json: Json = False) -> None:
    """Show users and their permissions."""
    found = _change(lambda accounts: accounts.users.all(organization))
    columns = ("email", "organization_id", "permissions", "subject", "active")
    show(found, columns=columns, as_json=as_json)


@users.command("deactivate")
def deactivate_user(user: UserName, *, as_json: Json = False) -> None:
    """Let the user in no more, with whatever credential."""
    changed = _change(lambda accounts: accounts.users.set_active(user, active=False))
    show_one(changed, sentence=f"{changed.email} is deactivated.", as_json=as_json)


@users.command("activate")
def activate_user(user: UserName, *, as_json: Json = False) -> None:
    """Undo a deactivation."""
    changed = _change(lambda accounts: accounts.users.set_active(user, active=True))
    show_one(changed, sentence=f"{changed.email} is active.", as_json=as_json)


@users.command("grant")
def grant(user: UserName, permission: PermissionName, *, as_json: Json = False) -> None:
    """Give a permission."""
    changed = _change(lambda accounts: accounts.users.grant(user, permission))
    show_one(changed, sentence=f"{changed.email} has the permission {permission}.", as_json=as_json)


@users.command("withdraw")
def withdraw(user: UserName, permission: PermissionName, *, as_json: Json = False) -> None:
    """Take a permission away."""
    changed = _change(lambda accounts: accounts.users.withdraw(user, permission))
    show_one(changed, sentence=f"{changed.email} has no permission {permission}.", as_json=as_json)


@partnerships.command("create")
def create_partnership(organization_id: OrganizationId, partner_id: PartnerId, *, as_json: Json = False) -> None:
    """Let an organization ask for a partner: it sees the partner's part in its own sessions, and no more."""
    made = _change(lambda accounts: accounts.partnerships.create(organization_id, partner_id))
    show_one(made, sentence=f"{made.organization_id} may ask for {made.partner_id}.", as_json=as_json)


@partnerships.command("list")
def list_partnerships(organization: OfOrganization = None, *, as_json: Json = False) -> None:
    """Show who may ask for whom."""
    found = _change(lambda accounts: accounts.partnerships.all(organization))
    show(found, columns=("organization_id", "partner_id", "active"), as_json=as_json)


@partnerships.command("deactivate")
def deactivate_partnership(organization_id: OrganizationId, partner_id: PartnerId, *, as_json: Json = False) -> None:
    """Let the organization ask for this partner no more."""
    changed = _change(lambda accounts: accounts.partnerships.set_active(organization_id, partner_id, active=False))
    show_one(changed, sentence=f"{changed.organization_id} may not ask for {changed.partner_id}.", as_json=as_json)


@partnerships.command("activate")
def activate_partnership(organization_id: OrganizationId, partner_id: PartnerId, *, as_json: Json = False) -> None:
    """Undo a deactivation."""
    changed = _change(lambda accounts: accounts.partnerships.set_active(organization_id, partner_id, active=True))
    show_one(changed, sentence=f"{changed.organization_id} may ask for {changed.partner_id}.", as_json=as_json)


@tokens.command("create")
def create_token(
    user: UserName,
    name: Annotated[str, typer.Option(help="What it is for: you will choose by it what to revoke.")],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days until it expires; default: never.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a token and print it, the only time that it can be seen."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    made = _change(lambda accounts: accounts.tokens.create(user, name, expires_at))
    show_one(made, sentence=made.text, as_json=as_json)
    if not as_json:
        print("Keep it now: it is not shown again.", file=sys.stderr)


@tokens.command("list")
def list_tokens(
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only this user's.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show tokens by their public prefix, and when each was last used (UTC)."""
    found = _change(lambda accounts: accounts.tokens.all(user))
    columns = ("prefix", "name", "email", "state", "created_at", "expires_at", "last_used_at")
    show(found, columns=columns, as_json=as_json)


@tokens.command("revoke")
def revoke_token(
    prefix: Annotated[str, typer.Argument(help="The public part of the token: gwt_PREFIX_…")],
    *,
    as_json: Json = False,
) -> None:
    """End a token for ever."""
    revoked = _change(lambda accounts: accounts.tokens.revoke(prefix))
    show_one(revoked, sentence=f"{revoked.prefix} ({revoked.name}) is revoked.", as_json=as_json)
