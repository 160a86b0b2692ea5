"""The TOML file of settings."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.accounts.settings import AccountSettings
from gateway.cli import app
from gateway.configuration import SettingsInvalid, exposed_settings_file, settings_file
from gateway.settings import Settings, reject_unknown_keys

MARKER = "marker-password"
SECRET = "s" * 32
USUAL = f'token_secret = "{SECRET}"\ncompleteness = "off"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "gateway.toml"
    monkeypatch.setenv("GATEWAY_SETTINGS_FILE", str(file))
    return file


def load(file: Path, text: str) -> Settings:
    file.write_text(USUAL + text, encoding="utf-8")
    reject_unknown_keys(settings_file())
    return Settings.from_environment()


def test_the_file_contains_settings_of_every_type(file: Path) -> None:
    settings = load(
        file,
        """
        port = 8090
        request_timeout = 12.5
        druid_broker_url = ["http://a:8082", "http://b:8082"]
        druid_coordinator_url = "http://c:8081, http://d:8081"
        trusted_proxies = ["10.0.0.0/8"]
        [oauth]
        issuer = "https://login.example.com/"
        audience = "https://reports.example.com"
        jwks = "https://login.example.com/keys"
        algorithms = ["ES256", "EdDSA"]
        permissions = {"reporting.read" = "reports"}
        """,
    )
    assert (settings.port, settings.request_timeout) == (8090, 12.5)
    assert [str(url) for url in settings.druid_broker_url] == ["http://a:8082/", "http://b:8082/"]
    assert len(settings.druid_coordinator_url) == 2
    assert [str(each) for each in settings.trusted_proxies] == ["10.0.0.0/8"]
    assert settings.oauth is not None
    assert settings.oauth.algorithms == {"ES256", "EdDSA"}
    assert settings.oauth.permissions == {"reporting.read": "reports"}


def test_the_environment_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("f" * 32)
    monkeypatch.setenv("GATEWAY_PORT", "1234")
    monkeypatch.setenv("GATEWAY_OAUTH_AUDIENCE", "other")
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET_FILE", str(tmp_path / "secret"))
    settings = load(file, 'port = 1\nhost = "::1"\n[oauth]\nissuer = "i"\naudience = "a"\njwks = "https://k/keys"')
    assert (settings.port, settings.host) == (1234, "::1")
    assert settings.token_secret.get_secret_value() == "f" * 32
    assert settings.oauth is not None
    assert (settings.oauth.issuer, settings.oauth.audience) == ("i", "other")


def test_the_account_commands_read_the_same_file(file: Path) -> None:
    load(file, 'database_url = "sqlite:////var/other.db"')
    assert AccountSettings.from_environment().database_url.get_secret_value() == "sqlite:////var/other.db"


def test_a_key_can_name_the_file_of_a_secret(file: Path, tmp_path: Path) -> None:
    urls = tmp_path / "urls"
    urls.write_text(f"https://operator:{MARKER}@a, https://b\n")
    settings = load(file, f'druid_broker_url_file = "{urls}"')
    assert [str(each) for each in settings.druid_broker_url] == ["https://a/", "https://b/"]
    with pytest.raises(SettingsInvalid, match="GATEWAY_LIMITS_URL: limits_url_file is also given"):
        load(file, f'limits_url_file = "{urls}"\nlimits_url = "redis://h"')
    with pytest.raises(SettingsInvalid, match="GATEWAY_LIMITS_URL: limits_url_file is not the path of a file"):
        load(file, "limits_url_file = 1")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("prot = 1", "prot: did you mean port?"),
        ("Port = 1", "Port: did you mean port?"),
        ("GATEWAY_PORT = 1", "GATEWAY_PORT: did you mean port?"),
        ("oauth_issuer = 'x'", "oauth_issuer: did you mean oauth.issuer?"),
        ("[oauth]\nisuer = 'x'", "oauth.isuer: did you mean oauth.issuer?"),
        (f"xyzzy = '{MARKER}'", "xyzzy: `gateway serve --help` lists every setting"),
    ],
)
def test_an_unknown_key_is_rejected_with_the_nearest_name(text: str, hint: str, file: Path) -> None:
    with pytest.raises(SettingsInvalid) as rejected:
        load(file, text)
    assert f"\n  {hint}" in str(rejected.value)
    assert MARKER not in str(rejected.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read the file: No such file"),
        (b"\xff\xfe", "is not UTF-8"),
        (f'token_secret = "{MARKER}'.encode(), "is not valid TOML"),
        (f"port = {'9' * 5000}".encode(), "is not valid TOML"),
        (f"x = {'[' * 100_000}".encode(), "is not valid TOML"),
    ],
)
def test_an_unusable_file_ends_every_command_with_a_sentence(
    content: bytes | None, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.toml"
    if content is not None:
        file.write_bytes(content)
    for command in ("serve", "accounts migrate", "ingest list"):
        result = CliRunner().invoke(app, command.split(), env={"GATEWAY_SETTINGS_FILE": str(file)})
        assert result.exit_code == 2
        assert f"GATEWAY_SETTINGS_FILE: {problem}" in result.stderr or problem in result.stderr
        assert "Traceback" not in result.stderr
        assert MARKER not in result.stderr


def test_the_option_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The option sets this variable, which monkeypatch restores.
    monkeypatch.setenv("GATEWAY_SETTINGS_FILE", "/nowhere")
    file = tmp_path / "gateway.toml"
    file.write_text(f'{USUAL}database_url = "sqlite:///{tmp_path}/of-the-file.db"')
    result = CliRunner().invoke(app, ["--settings", str(file), "accounts", "migrate"])
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "of-the-file.db").exists()


@pytest.mark.parametrize(
    ("text", "mode", "exposed"),
    [
        (f'token_secret = "{SECRET}"', 0o644, True),
        (f'token_secret = "{SECRET}"', 0o640, False),
        (f'druid_broker_url = ["http://u:{MARKER}@h"]', 0o604, True),
        ('druid_broker_url = "http://h"\ntoken_secret_file = "x"', 0o644, False),
        ("port = 1", 0o644, False),
    ],
)
def test_a_secret_in_a_file_that_everyone_can_read_is_noticed(
    text: str, mode: int, *, exposed: bool, file: Path
) -> None:
    file.write_text(text)
    file.chmod(mode)
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert (exposed_settings_file(Settings) is not None) == exposed
