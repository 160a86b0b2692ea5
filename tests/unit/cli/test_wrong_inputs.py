"""Wrong input of every kind: each command exits with a sentence, without a traceback and without a secret."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app

MARKER = "marker-password"
SECRET = f"{MARKER}-of-more-than-32-characters"
ORGANIZATION = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"

SETTINGS: tuple[dict[str, str], ...] = (
    {"TOKEN_SECRET": ""},
    {"TOKEN_SECRET": MARKER},
    {"DATABASE_URL": ""},
    {"DATABASE_URL": MARKER},
    {"DATABASE_URL": f"mysql://root:{MARKER}@h/d"},
    {"DATABASE_URL": f"postgresql://u:{MARKER}@h:port/d"},
    {"DATABASE_URL": f"postgresql://u:{MARKER}@h:99999/d"},
    {"DATABASE_URL": f"postgresql://u:{MARKER}@h/d?sslmode=always"},
    {"DATABASE_URL": f"postgresql://u:{MARKER}@h/d?connect_timeout=10"},
    {"DATABASE_URL": f"postgresql://u:{MARKER}@[h/d"},
    {"DATABASE_URL": "sqlite://"},
    {"PORT": "eighty"},
    {"PORT": "65536"},
    {"PORT": "tcp://10.0.0.1:80"},
    {"PORT": "9" * 5000},
    {"METRICS_PORT": "-1"},
    {"HOST": ""},
    {"HOST": "\udcff"},
    *({"REQUEST_TIMEOUT": value} for value in ("1e999", "inf", "nan", "-1", "0", "1e308", "1 minute", "")),
    {"SHUTDOWN_TIMEOUT": "nan"},
    {"SHUTDOWN_TIMEOUT": "inf"},
    {"COVERAGE_PERIOD": "1e999"},
    {"MAX_ROWS": "0"},
    {"MAX_ROWS": "1e3"},
    {"MAX_ROWS": "9" * 30},
    {"MAX_BODY_BYTES": "1"},
    {"ANSWER_MEMORY": "1024"},
    {"DRUID_QUERIES": "1"},
    {"DRUID_BROKER_URL": ""},
    {"DRUID_BROKER_URL": f"broker:{MARKER}"},
    {"DRUID_BROKER_URL": f"ftp://u:{MARKER}@h"},
    {"DRUID_BROKER_URL": f"http://u:{MARKER}@h:port"},
    {"DRUID_COORDINATOR_URL": f"http://u:{MARKER}@"},
    {"TRUSTED_PROXIES": "everyone"},
    {"TRUSTED_PROXIES": "10.0.0.1/8"},
    {"LIMITS_URL": f"memcached://:{MARKER}@h"},
    {"LIMITS_URL": "redis://"},
    {"LIMITS_URL_FILE": "/nowhere"},
    {"LIMITS_URL_FILE": "/"},
    {"UNIQUES": "exact"},
    {"LOG_FORMAT": "xml"},
    {"OAUTH_ISSUER": "https://login.example.com"},
    {"OAUTH_ALGORITHMS": "HS256"},
    {"OAUTH_ALGORITHMS": '["RS256'},
    {"OAUTH_PERMISSIONS": "["},
    {"OAUTH_PERMISSIONS": "[" * 100_000},
    {"OAUTH_PERMISSIONS": "reports"},
    {"OAUTH_JWKS": f"https://u:{MARKER}@h/keys"},
    {"OAUTH_JWKS": "http://login.example.com/keys"},
    {"OAUTH_JWKS": "https://[h/keys"},
    {"OAUTH_JWKS": "/nonexistent"},
    {"DRUID_COORDINATOR": f"http://u:{MARKER}@h"},
    {"TOKEN_SECRETS": MARKER},
    {"\udcff": MARKER},
)

JSON_LINE = f'{{"kind": "organization", "id": "{ORGANIZATION}", "name": "A"}}'
COMMANDS: tuple[tuple[list[str], bytes], ...] = (
    (["organizations", "create", ""], b""),
    (["organizations", "create", "\udcff"], b""),
    (["organizations", "create", "\x1b[2J"], b""),
    (["organizations", "create", "A" * 1000], b""),
    (["organizations", "create", "A", "--id", "no/id"], b""),
    (["organizations", "deactivate", "\udcff"], b""),
    (["users", "create", "no-address", ORGANIZATION], b""),
    (["users", "create", "\udcff@example.com", ORGANIZATION], b""),
    (["users", "create", "ann@example.com", ORGANIZATION], b""),
    (["users", "grant", "\udcff", "reports"], b""),
    (["users", "grant", "ann@example.com", "\udcff"], b""),
    (["users", "list", "--organization", "\udcff"], b""),
    (["partnerships", "create", ORGANIZATION, "\udcff"], b""),
    (["tokens", "create", "ann@example.com", "--name", "\udcff"], b""),
    (["tokens", "create", "ann@example.com", "--name", "x", "--days", "many"], b""),
    (["tokens", "list", "--user", "\udcff"], b""),
    (["tokens", "revoke", "\udcff"], b""),
    (["import", "/nowhere/\udcff.jsonl"], b""),
    (["import", "/"], b""),
    (["import", "-"], JSON_LINE.encode("utf-16")),
    (["import", "-"], b"\xef\xbb\xbf" + JSON_LINE.encode()),
    (["import", "-"], b"[" * 1_000_000),
    (["import", "-"], b'{"a":' * 100_000),
    (["import", "-"], b"{}\n" * 10_000),
    (["import", "-"], b"\x1f\x8b\x08garbage"),
    (["import", "-"], b'{"kind": "organization", "id": 1e999, "name": NaN}'),
    (["import", "-"], f'{{"kind": "organization", "id": "{ORGANIZATION}", "name": "\\ud800"}}'.encode()),
    (["import", "-"], (JSON_LINE + JSON_LINE).encode()),
    (["unknown"], b""),
)


def _run(arguments: list[str], variables: dict[str, str], stdin: bytes = b"") -> str:
    """Run a command that must fail; return what it printed to standard error."""
    environment = {f"GATEWAY_{name}": value for name, value in {"TOKEN_SECRET": SECRET, **variables}.items()}
    result = CliRunner().invoke(app, arguments, env={**environment, "COLUMNS": "200"}, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in {1, 2, 3}
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert MARKER not in result.stderr
    assert 0 < len(result.stderr) < 10_000
    return result.stderr


@pytest.mark.parametrize(
    "variables", SETTINGS, ids=lambda each: " ".join(each)[:40].encode("ascii", "replace").decode()
)
def test_a_wrong_setting_is_named_with_the_problem(variables: dict[str, str]) -> None:
    error = _run(["serve"], variables)
    assert error.startswith(("These settings are wrong:\n", "These environment variables are not settings"))
    assert "  GATEWAY_" in error
    assert all(line.startswith("  ") for line in error.splitlines()[1:])


@pytest.mark.parametrize(("arguments", "stdin"), COMMANDS)
def test_a_wrong_argument_or_file_is_explained(arguments: list[str], stdin: bytes, tmp_path: Path) -> None:
    variables = {"DATABASE_URL": f"sqlite:///{tmp_path}/accounts.db"}
    migrated = {f"GATEWAY_{name}": value for name, value in {"TOKEN_SECRET": SECRET, **variables}.items()}
    assert CliRunner().invoke(app, ["accounts", "migrate"], env=migrated).exit_code == 0
    _run(["accounts", *arguments], variables, stdin)


def _not_a_database(folder: Path) -> str:
    (folder / "text").write_text("This is not a database, and longer than its header. " * 100)
    return f"sqlite:///{folder}/text"


@pytest.mark.parametrize("command", ["migrate", "organizations list"])
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{MARKER}@127.0.0.1:1/d",
        f"postgresql://u:{MARKER}@127.0.0.1:1/d?sslmode=require",
        f"postgresql://u:{MARKER}@host.invalid/d",
        f"postgresql://u:{MARKER}@{'x' * 70}.invalid/d",
        f"postgresql://u:{MARKER}@127.0.0.1:1/d?sslmode=verify-full&sslrootcert=/nowhere.pem",
        f"postgresql://u:{MARKER}@127.0.0.1:1/d?target_session_attrs=any-server",
        f"postgresql://u:{MARKER}@/d?host=/nowhere",
        "sqlite:////proc/nowhere/accounts.db",
        "sqlite:////dev/null/accounts.db",
        f"sqlite:////tmp/{'x' * 300}/accounts.db",
        "sqlite:////tmp",
        "not a database",
    ],
)
def test_an_unusable_database_is_explained(command: str, url: str, tmp_path: Path) -> None:
    error = _run(["accounts", *command.split()], {"DATABASE_URL": _not_a_database(tmp_path) if " " in url else url})
    assert len(error.splitlines()) == 1
    assert "GATEWAY_DATABASE_URL" in error or "gateway accounts migrate" in error


def test_help_is_shown_with_unknown_variables() -> None:
    for arguments in (["serve", "--help"], ["accounts", "--help"], ["--version"], ["--help"]):
        assert CliRunner().invoke(app, arguments, env={"GATEWAY_DRUID_COORDINATOR": "x"}).exit_code == 0


@pytest.mark.slow
def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """In processes of their own, since they configure logging."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = str(listener.getsockname()[1])
        cases = (
            ({"PORT": taken}, "Cannot listen on 127.0.0.1, port"),
            ({"PORT": "0", "METRICS_PORT": taken}, "GATEWAY_METRICS_PORT"),
            ({"PORT": "0", "HOST": "192.0.2.1"}, "Cannot listen on 192.0.2.1"),
            ({"PORT": "0", "HOST": "host.invalid"}, "Cannot listen on host.invalid"),
            ({"PORT": "0", "HOST": "x" * 70 + ".invalid"}, "Cannot listen on xxx"),
            ({"DATABASE_URL": "sqlite:////nowhere/accounts.db"}, "run 'gateway accounts migrate'"),
            ({"DATABASE_URL": f"postgresql://u:{MARKER}@127.0.0.1:1/d"}, "cannot be used: "),
        )
        database = f"sqlite:///{tmp_path}/accounts.db"
        usual = {"TOKEN_SECRET": SECRET, "DATABASE_URL": database, "LOG_FORMAT": "json", "COMPLETENESS": "off"}
        migrated = {f"GATEWAY_{name}": value for name, value in usual.items()}
        assert CliRunner().invoke(app, ["accounts", "migrate"], env=migrated).exit_code == 0

        async def start(variables: dict[str, str]) -> tuple[int | None, str]:
            environment = {f"GATEWAY_{name}": value for name, value in {**usual, **variables}.items()}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "serve",
                env={"PATH": os.environ["PATH"], **environment}, stderr=subprocess.PIPE,
            )  # fmt: skip
            _, error = await process.communicate()
            return process.returncode, error.decode()

        async def start_all() -> list[tuple[int | None, str]]:
            async with asyncio.timeout(300):  # starting a process takes seconds on a busy machine
                return await asyncio.gather(*(start(variables) for variables, _ in cases))

        for (variables, sentence), (code, error) in zip(cases, asyncio.run(start_all()), strict=True):
            assert code == 1, (variables, error)
            assert sentence in error.splitlines()[-1]
            assert "Traceback" not in error
            assert MARKER not in error
