"""`gateway accounts` in a shell: its output, its changes and its exit codes."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app

OWN = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"
OTHER = "5f1c3a60-0000-4000-8000-00000000000b"
SECRET = "a secret of at least 32 characters"


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands against one database."""

    environment: dict[str, str | None]

    def run(self, *arguments: str, code: int = 0, stdin: str | bytes = "") -> Result:
        result = CliRunner().invoke(app, ["accounts", *arguments], env=self.environment, input=stdin)
        assert result.exit_code == code, (result.output, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    def out(self, *arguments: str) -> str:
        return self.run(*arguments).stdout.strip()

    def json(self, *arguments: str) -> Any:
        return json.loads(self.out(*arguments, "--json"))

    def error(self, code: int, *arguments: str, stdin: str | bytes = "") -> str:
        result = self.run(*arguments, code=code, stdin=stdin)
        assert result.stdout == ""
        return " ".join(result.stderr.split())


@pytest.fixture
def bare_shell(database_url: str) -> Shell:
    return Shell({"GATEWAY_DATABASE_URL": database_url, "GATEWAY_TOKEN_SECRET": SECRET, "COLUMNS": "200"})


@pytest.fixture
def shell(bare_shell: Shell) -> Shell:
    bare_shell.run("migrate")
    return bare_shell


def test_the_commands_of_the_help_create_a_first_caller(shell: Shell) -> None:
    organization = shell.out("organizations", "create", "Example Ltd")
    user = shell.out("users", "create", "Ann@example.com", organization, "--permission", "reports")
    made = shell.run("tokens", "create", "ann@example.com", "--name", "dashboard")
    assert re.fullmatch(r"gwt_[a-z2-7]{8}_[A-Za-z0-9_-]{43}\n", made.stdout)
    assert "not shown again" in made.stderr
    (token,) = shell.json("tokens", "list")
    assert (token["prefix"], token["user_id"], token["state"]) == (made.stdout[4:12], user, "active")
    for listing in ("organizations", "users", "partnerships", "tokens"):
        for form in ((), ("--json",)):
            assert made.stdout[13:].strip() not in shell.out(listing, "list", *form)


def test_tables_show_every_cell_completely(shell: Shell) -> None:
    name = "A name with [bold]brackets[/bold], which " + "goes on and " * 10
    shell.run("organizations", "create", name, "--id", OWN)
    shell.run("users", "create", "ann@example.com", OWN, "--permission", "reports", "--subject", "provider|1")
    header, row = shell.out("organizations", "list").splitlines()
    assert header.split() == ["id", "name", "active"]
    assert row.startswith(OWN)
    assert name.strip() in row
    assert row.endswith("yes")
    assert re.search(rf"ann@example\.com +{OWN} +reports +provider\|1 +yes", shell.out("users", "list"))


def test_lists_can_be_filtered(shell: Shell) -> None:
    for organization, user in ((OWN, "ann@example.com"), (OTHER, "bob@example.com")):
        shell.run("organizations", "create", user, "--id", organization)
        shell.run("users", "create", user, organization)
        shell.run("tokens", "create", user, "--name", user)
    shell.run("partnerships", "create", OWN, OTHER)
    assert [user["email"] for user in shell.json("users", "list", "--organization", OWN)] == ["ann@example.com"]
    assert [token["name"] for token in shell.json("tokens", "list", "--user", "bob@example.com")] == ["bob@example.com"]
    assert shell.json("partnerships", "list", "--organization", OTHER) == []
    assert len(shell.json("partnerships", "list", "--organization", OWN)) == 1


def test_accounts_can_be_deactivated_and_activated(shell: Shell) -> None:
    shell.run("organizations", "create", "own", "--id", OWN)
    shell.run("organizations", "create", "other", "--id", OTHER)
    shell.run("users", "create", "ann@example.com", OWN)
    shell.run("partnerships", "create", OWN, OTHER)
    for verb, active in (("deactivate", False), ("activate", True)):
        for group, key in (("organizations", [OWN]), ("users", ["ann@example.com"]), ("partnerships", [OWN, OTHER])):
            assert shell.json(group, verb, *key)["active"] is active
            assert shell.out(group, verb, *key).endswith(".")
            assert [row["active"] for row in shell.json(group, "list")][-1 if group != "organizations" else 1] is active


def test_permissions_can_be_granted_and_withdrawn(shell: Shell) -> None:
    shell.run("organizations", "create", "own", "--id", OWN)
    shell.run("users", "create", "ann@example.com", OWN)
    assert shell.json("users", "grant", "ann@example.com", "reports")["permissions"] == ["reports"]
    assert shell.json("users", "list")[0]["permissions"] == ["reports"]
    assert shell.json("users", "withdraw", "ann@example.com", "reports")["permissions"] == []


def test_tokens_have_an_expiry_and_are_revoked_by_their_prefix(shell: Shell) -> None:
    shell.run("organizations", "create", "own", "--id", OWN)
    shell.run("users", "create", "ann@example.com", OWN)
    token = shell.json("tokens", "create", "ann@example.com", "--name", "x", "--days", "30")
    assert token["text"].startswith(f"gwt_{token['prefix']}_")
    assert token["expires_at"] is not None
    assert shell.json("tokens", "revoke", token["prefix"])["state"] == "revoked"
    assert shell.json("tokens", "list")[0]["state"] == "revoked"
    assert "revoked" in shell.out("tokens", "list")


def test_a_rejected_change_exits_with_1_and_one_sentence(shell: Shell) -> None:
    shell.run("organizations", "create", "own", "--id", OWN)
    assert shell.error(1, "organizations", "create", "again", "--id", OWN) == f"An organization {OWN} already exists."
    assert "not an organization's id" in shell.error(1, "organizations", "deactivate", "a/b")
    assert shell.error(1, "users", "deactivate", "x@y.z") == "No user 'x@y.z' exists."
    assert "the permissions are: reports" in shell.error(1, "users", "create", "x@y.z", OWN, "--permission", "all")
    assert shell.error(1, "tokens", "revoke", "x") == "No token 'x' exists."


def test_wrong_usage_exits_with_2(shell: Shell) -> None:
    shell.error(2, "organizations", "create")
    shell.error(2, "organizations", "destroy")
    shell.error(2, "tokens", "create", "x@y.z", "--name", "x", "--days", "0")
    shell.error(2, "import", "/nowhere.jsonl")


def test_wrong_settings_exit_with_2_and_are_all_named() -> None:
    shell = Shell({"GATEWAY_DATABASE_URL": "mysql://root:hidden@x/y", "GATEWAY_TOKEN_SECRET": "short"})
    error = shell.error(2, "migrate")
    assert "GATEWAY_DATABASE_URL: " in error
    assert "GATEWAY_TOKEN_SECRET: " in error
    assert "hidden" not in error
    assert "short" not in error.split("GATEWAY_TOKEN_SECRET")[1].replace("is shorter than", "")


def test_a_database_without_tables_exits_with_3_and_the_remedy(bare_shell: Shell) -> None:
    assert "run 'gateway accounts migrate'" in bare_shell.error(3, "organizations", "list")
    assert bare_shell.out("migrate") == bare_shell.out("migrate") == "The account database is at revision 0002."
    assert bare_shell.json("organizations", "list") == []


def test_only_its_owner_can_read_a_new_sqlite_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "accounts.db"
    Shell({"GATEWAY_DATABASE_URL": f"sqlite:///{file}", "GATEWAY_TOKEN_SECRET": SECRET}).run("migrate")
    assert file.stat().st_mode & 0o077 == 0


LINES = (
    {"kind": "partnership", "organization_id": OWN, "partner_id": OTHER, "active": False},
    {"kind": "user", "email": "ann@example.com", "organization_id": OWN, "permissions": ["reports"], "subject": "1"},
    {"kind": "organization", "id": OTHER.upper(), "name": "other"},
    {"kind": "organization", "id": OWN, "name": "own"},
)


def lines(*entries: dict[str, Any]) -> str:
    return "\n\n".join(map(json.dumps, entries)) + "\n"


def test_an_import_creates_all_accounts_in_any_order_and_can_be_repeated(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "accounts.jsonl"
    file.write_text(lines(*LINES))
    seen = []
    for arguments, stdin in ((("import", str(file)), ""), (("import", "-"), lines(*LINES))):
        assert shell.run(*arguments, stdin=stdin).stdout == "Imported 4 entries.\n"
        seen.append([shell.json(group, "list") for group in ("organizations", "users", "partnerships")])
    assert seen[0] == seen[1]
    organizations, (user,), (partnership,) = seen[0]
    assert {each["id"]: each["name"] for each in organizations} == {OWN: "own", OTHER: "other"}
    assert (user["permissions"], user["subject"]) == (["reports"], "1")
    assert partnership == {"organization_id": OWN, "partner_id": OTHER, "active": False}


def test_an_import_names_every_problem_and_changes_nothing(shell: Shell) -> None:
    bad = lines(
        LINES[3],
        {"kind": "organization", "id": "/", "name": ""},
        {"kind": "team"},
        {"kind": "user", "email": "ann@example.com", "organization_id": OWN, "permissions": ["all"], "password": "p"},
        {**LINES[0], "active": "perhaps"},
    )
    error = shell.error(1, "import", "-", stdin=bad.encode() + b"[1]\n{\nnull\n\xff\n")
    for fault in (
        "line 3: id: not an organization's id", "line 3: name: ", "line 5: ", "line 7: permissions: ",
        "line 7: password: ", "line 9: active: ", "line 10: ", "line 11: ", "line 12: ", "line 13: ",
    ):  # fmt: skip
        assert fault in error
    assert shell.json("organizations", "list") == []


def test_an_import_that_fails_half_way_changes_nothing(shell: Shell) -> None:
    stranger = {"kind": "user", "email": "x@y.z", "organization_id": OTHER}
    error = shell.error(1, "import", "-", stdin=lines(LINES[3], stranger))
    assert error == f"Nothing was imported: line 3: No organization {OTHER} exists."
    assert shell.json("organizations", "list") == []


@pytest.mark.parametrize("group", ["organizations", "users", "partnerships", "tokens"])
def test_every_group_and_command_has_help(group: str) -> None:
    shell = Shell({"COLUMNS": "200"})
    assert group in shell.out("--help")
    commands = re.findall(r"^│ ([a-z]+) {2,}\S", shell.out(group, "--help"), re.MULTILINE)
    assert {"create", "list"} <= set(commands)
    for command in commands:
        assert "Usage" in shell.out(group, command, "--help")
