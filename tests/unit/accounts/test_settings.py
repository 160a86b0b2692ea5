from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.accounts.database import check_url, engine_for, shown
from gateway.accounts.settings import AccountSettings, SettingsInvalid

SECRET = "s" * 32


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", SECRET)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///var/accounts.db",
        "sqlite:////var/accounts.db",
        "sqlite+aiosqlite:///var/accounts.db",
        "postgresql://u:p%40@h:5433/d",
        "postgres://u@h/d",
        "postgresql+asyncpg://u@h/d",
        "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem&application_name=gateway",
        "postgresql:///d?host=/run/postgresql",
    ],
)
def test_sqlite_and_postgresql_urls_are_accepted(url: str) -> None:
    settings = AccountSettings(database_url=SecretStr(url), token_secret=SecretStr(SECRET))
    assert settings.database_url.get_secret_value() == url
    assert engine_for(url).dialect.is_async


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "sqlite", "sqlite://", "sqlite://host/path", "sqlite:///x?mode=ro", "mysql://u:hidden@h/d",
        "postgresql+psycopg2://u:hidden@h/d", "postgresql://u:hidden@h:port/d", "postgresql://u:hidden@h:99999/d",
        "postgresql://u:hidden@h/d?sslmode=hidden", "postgresql://u:hidden@h/d?sslmod=require",
        "postgresql://u:hidden@h/d?options=-csearch_path%3Dhidden",
    ],
)  # fmt: skip
def test_other_urls_are_rejected_without_repeating_them(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", url)
    with pytest.raises(SettingsInvalid, match="GATEWAY_DATABASE_URL: ") as rejected:
        AccountSettings.from_environment()
    assert "hidden" not in str(rejected.value)


def test_messages_show_a_url_without_its_password_and_parameters() -> None:
    url = "postgresql://u:hidden@h/d?sslmode=require&sslpassword=hidden&passfile=hidden"
    check_url(url)
    assert shown(url) == "postgresql://u:***@h/d"


def test_the_token_secret_is_required_and_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", "hidden")
    with pytest.raises(SettingsInvalid, match="GATEWAY_TOKEN_SECRET: is shorter than 32 characters") as rejected:
        AccountSettings.from_environment()
    assert "hidden" not in str(rejected.value)
    monkeypatch.delenv("GATEWAY_TOKEN_SECRET")
    with pytest.raises(SettingsInvalid, match="GATEWAY_TOKEN_SECRET: is required"):
        AccountSettings.from_environment()


def test_a_secret_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("f" * 32 + "\n")
    monkeypatch.delenv("GATEWAY_TOKEN_SECRET")
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET_FILE", str(file))
    assert AccountSettings.from_environment().token_secret.get_secret_value() == "f" * 32


def test_a_secret_and_its_file_together_are_rejected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET_FILE", str(tmp_path / "absent"))
    with pytest.raises(SettingsInvalid, match="TOKEN_SECRET: GATEWAY_TOKEN_SECRET_FILE is also given: remove one"):
        AccountSettings.from_environment()


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "No such file"), (b"\xff\xfes\x00", "not UTF-8"), (b"hidden", "shorter than 32")]
)
def test_an_unusable_secret_file_is_rejected(
    content: bytes | None, problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.delenv("GATEWAY_TOKEN_SECRET")
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET_FILE", str(file))
    with pytest.raises(SettingsInvalid, match=problem) as rejected:
        AccountSettings.from_environment()
    assert "GATEWAY_TOKEN_SECRET" in str(rejected.value)
    assert "hidden" not in str(rejected.value)
