"""Creates a token for each organization, in a new account database or with a given `gateway accounts` command."""

import json
import subprocess
from collections.abc import Callable, Sequence

from pydantic import SecretStr

from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts
from tests.load.errors import LoadError
from tests.load.scenario import Caller

NAME = "load test"


def _email(organization_id: str) -> str:
    return f"load@{organization_id}.test"


async def make(database_url: str, secret: str, organization_ids: Sequence[str]) -> tuple[Caller, ...]:
    """Create the tables, and the organizations with a user and a token each, in a new database."""
    settings = AccountSettings(database_url=SecretStr(database_url), token_secret=SecretStr(secret))
    callers = []
    async with Accounts(settings) as accounts:
        await accounts.migrate()
        async with accounts.administration() as administration:
            for number, organization_id in enumerate(organization_ids, start=1):
                await administration.organizations.create(f"Organization {number}", organization_id)
                user = await administration.users.create(_email(organization_id), organization_id, {"reports"})
                token = await administration.tokens.create(user.id, NAME)
                callers.append(Caller(organization_id, token.text))
    return tuple(callers)


def make_by_command(
    command: Sequence[str], organization_ids: Sequence[str], on_progress: Callable[[int], object]
) -> tuple[Caller, ...]:
    """Create what is missing with a `gateway accounts` command. Tokens expire after a day. Raises LoadError."""
    there = {each["id"] for each in json.loads(_run([*command, "organizations", "list", "--json"]))}
    lines: list[dict[str, object]] = [
        {"kind": "organization", "id": organization_id, "name": f"Load test {organization_id[:8]}"}
        for organization_id in organization_ids
        if organization_id not in there
    ]
    lines += [
        {
            "kind": "user",
            "email": _email(organization_id),
            "organization_id": organization_id,
            "permissions": ["reports"],
        }
        for organization_id in organization_ids
    ]
    _run([*command, "import", "-"], "".join(json.dumps(line) + "\n" for line in lines))
    callers = []
    for organization_id in organization_ids:
        token = _run([*command, "tokens", "create", _email(organization_id), "--name", NAME, "--days", "1"]).strip()
        callers.append(Caller(organization_id, token))
        on_progress(len(callers))
    return tuple(callers)


def _run(command: Sequence[str], given: str = "") -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LoadError(f"--accounts: {error}") from error
    if done.returncode:
        raise LoadError(f"--accounts: {' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return done.stdout
