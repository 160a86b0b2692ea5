"""`make run` beside a gateway of the user's own, whose variables are set in the same shell."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import demo
from druid.cluster import Cluster
from gateway.settings import Settings

ROOT = Path(demo.__file__).parent


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own gateway, whose settings the environment has."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "secret").write_text("o" * 32)
    (folder / "gateway.toml").write_text(f'database_url = "sqlite:///{folder}/of-the-file.db"\nprot = 1')
    variables = {
        "DATABASE_URL": f"sqlite:///{folder}/accounts.db",
        "TOKEN_SECRET_FILE": f"{folder}/secret",
        "CATALOG": f"{folder}/orders.yaml",
        "DRUID_BROKER_URL_FILE": f"{folder}/secret",
        "DRUID_USERNAME": "operator",
        "DRUID_PASSWORD_FILE": f"{folder}/secret",
        "LIMITS_URL": "redis://127.0.0.1:1",
        "SETTINGS_FILE": f"{folder}/gateway.toml",
        "EXPLORER_NAME": "Chats",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"GATEWAY_{name}", value)
    monkeypatch.setenv("gateway_token_secret", "l" * 32)
    return folder


def test_the_demo_uses_its_own_accounts_secret_data_sets_and_druid(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "VAR", tmp_path)
    before = {path.name for path in own.iterdir()}
    demo._forget_other_gateway()
    environment = demo._environment(8090, Cluster())
    token = asyncio.run(demo._accounts(environment))

    assert token
    assert {path.name for path in own.iterdir()} == before
    assert (tmp_path / "demo-accounts.db").exists()

    monkeypatch.setattr(os, "environ", environment)
    settings = Settings.from_environment()
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/demo-accounts.db"
    assert settings.token_secret.get_secret_value() == (tmp_path / "demo-token-secret").read_text()
    assert own / "orders.yaml" not in (settings.catalog or ())
    assert [str(url) for url in settings.druid_broker_url] == ["http://127.0.0.1:8082/"]
    assert (settings.druid_username, settings.druid_password, settings.limits_url) == (None, None, None)
    assert (settings.port, settings.explorer_name) == (8090, "Chats")


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "9" * 5000])
def test_a_port_that_is_none_is_rejected(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", port)
    with pytest.raises(demo.DemoError, match=r"GATEWAY_PORT is .* not a number from 1 to 65535"):
        demo._port()


def test_a_wrong_port_ends_the_command_with_a_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "demo.py"],
        cwd=ROOT,
        env={**os.environ, "GATEWAY_PORT": "8080 [red]"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout == "\nGATEWAY_PORT is '8080 [red]', not a number from 1 to 65535.\n"
