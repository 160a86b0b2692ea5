import pytest
from pydantic import SecretStr, ValidationError

from gateway.accounts.settings import AccessSettings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", "s" * 32)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:///var/accounts.db", "sqlite+aiosqlite:///var/accounts.db"),
        ("postgresql://u:p%40@h:5433/d", "postgresql+asyncpg://u:p%40@h:5433/d"),
        ("postgres://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
    ],
)
def test_a_database_url_gets_its_async_driver(given: str, used: str) -> None:
    settings = AccessSettings(database_url=SecretStr(given), token_secret=SecretStr("s" * 32))
    assert settings.database_url.get_secret_value() == used


@pytest.mark.parametrize("url", ["", "x", "mysql://u:hidden@h/d", "postgresql+psycopg2://u:hidden@h/d", "sqlite"])
def test_another_database_is_refused_without_repeating_its_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", url)
    with pytest.raises(ValidationError) as refused:
        AccessSettings.from_environment()
    assert "hidden" not in str(refused.value)


def test_a_provider_is_set_by_flat_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ISSUER": "https://login.example.com/",
        "AUDIENCE": "https://reports.example.com",
        "JWKS": "https://login.example.com/keys",
        "ALGORITHMS": '["ES256", "EdDSA"]',
        "USER_CLAIM": "uid",
        "PERMISSIONS_CLAIM": "roles",
        "PERMISSIONS": '{"reporting.read": "reports"}',
    }.items():
        monkeypatch.setenv(f"GATEWAY_OAUTH_{name}", value)
    oauth = AccessSettings.from_environment().oauth
    assert oauth is not None
    assert (oauth.user_claim, oauth.permissions_claim) == ("uid", "roles")
    assert oauth.algorithms == {"ES256", "EdDSA"}
    assert oauth.permissions == {"reporting.read": "reports"}


def test_half_a_provider_is_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_OAUTH_ISSUER", "https://login.example.com/")
    with pytest.raises(ValidationError) as refused:
        AccessSettings.from_environment()
    assert {error["loc"] for error in refused.value.errors()} == {("oauth", "audience"), ("oauth", "jwks")}


def test_without_a_secret_there_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_TOKEN_SECRET")
    with pytest.raises(ValidationError):
        AccessSettings.from_environment()
