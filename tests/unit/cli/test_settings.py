"""The gateway's settings, read from the environment."""

import pytest

from gateway.settings import Settings, SettingsInvalid, reject_unknown_variables


@pytest.fixture(autouse=True)
def _required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", "s" * 32)
    monkeypatch.setenv("GATEWAY_COMPLETENESS", "off")


def _load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"GATEWAY_{name}", value)
    return Settings.from_environment()


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(
        monkeypatch, DRUID_BROKER_URL="http://a:8082, http://b:8082", TRUSTED_PROXIES="10.0.0.0/8,fd00::/8"
    )
    assert [str(url) for url in settings.druid_broker_url] == ["http://a:8082/", "http://b:8082/"]
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "fd00::/8"]


@pytest.mark.parametrize("algorithms", ["ES256,EdDSA", " ES256 , EdDSA ", '["ES256", "EdDSA"]'])
def test_a_provider_has_flat_names(algorithms: str, monkeypatch: pytest.MonkeyPatch) -> None:
    oauth = _load(
        monkeypatch,
        OAUTH_ISSUER="https://login.example.com/",
        OAUTH_AUDIENCE="https://reports.example.com",
        OAUTH_JWKS="https://login.example.com/keys",
        OAUTH_ALGORITHMS=algorithms,
        OAUTH_USER_CLAIM="uid",
        OAUTH_PERMISSIONS_CLAIM="roles",
        OAUTH_PERMISSIONS='{"reporting.read": "reports"}',
    ).oauth
    assert oauth is not None
    assert (oauth.user_claim, oauth.permissions_claim) == ("uid", "roles")
    assert oauth.algorithms == {"ES256", "EdDSA"}
    assert oauth.permissions == {"reporting.read": "reports"}


def test_an_incomplete_provider_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid) as rejected:
        _load(monkeypatch, OAUTH_ISSUER="https://login.example.com/")
    message = str(rejected.value)
    assert "GATEWAY_OAUTH_AUDIENCE: is required" in message
    assert "GATEWAY_OAUTH_JWKS: is required" in message


def test_every_problem_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_TOKEN_SECRET")
    with pytest.raises(SettingsInvalid) as rejected:
        _load(monkeypatch, PORT="eighty", REQUEST_TIMEOUT="1e999", OAUTH_PERMISSIONS="{", LIMITS_URL="memcached://x")
    for variable in ("TOKEN_SECRET", "PORT", "REQUEST_TIMEOUT", "OAUTH_PERMISSIONS", "LIMITS_URL"):
        assert f"  GATEWAY_{variable}: " in str(rejected.value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("GATEWAY_DRUID_COORDINATOR", "GATEWAY_DRUID_COORDINATOR_URL"),
        ("GATEWAY_DRUID_BROKERS_URL", "GATEWAY_DRUID_BROKER_URL"),
        ("GATEWAY_OAUTH_ALGORITHM", "GATEWAY_OAUTH_ALGORITHMS"),
        ("GATEWAY_TOKEN_SECRETS_FILE", "GATEWAY_TOKEN_SECRET_FILE"),
        ("gateway_log_formats", "GATEWAY_LOG_FORMAT"),
    ],
)
def test_an_unknown_variable_is_rejected_with_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name}: did you mean {nearest}?") as rejected:
        reject_unknown_variables({name: "hidden"})
    assert "hidden" not in str(rejected.value)


def test_an_unknown_variable_without_a_similar_name_is_rejected() -> None:
    with pytest.raises(SettingsInvalid, match="GATEWAY_XYZ: `gateway serve --help` lists every setting"):
        reject_unknown_variables({"GATEWAY_XYZ": ""})


def test_known_variables_and_those_of_other_programs_are_accepted() -> None:
    names = (
        "GATEWAY_PORT", "gateway_port", "GATEWAY_OAUTH_USER_CLAIM", "GATEWAY_LIMITS_URL_FILE", "DRUID_BROKER_URL",
        # var/demo.env and docker compose
        "GATEWAY_URL", "GATEWAY_TOKEN", "GATEWAY_ORGANIZATION_ID", "GATEWAY_PARTNER_ORGANIZATION_ID",
        "GATEWAY_IMAGE", "GATEWAY_ENV_FILE", "GATEWAY_DATABASE_PASSWORD",
        # Kubernetes, for a Service named gateway
        "GATEWAY_SERVICE_HOST", "GATEWAY_SERVICE_PORT", "GATEWAY_SERVICE_PORT_HTTP", "GATEWAY_PORT_8080_TCP",
        "GATEWAY_PORT_8080_TCP_ADDR",
    )  # fmt: skip
    reject_unknown_variables(dict.fromkeys(names, ""))


def test_the_explorers_links_have_a_text_and_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, EXPLORER_LINKS="Support=https://a.example/?q=1, Status=http://b.example")
    assert settings.explorer_links == ("Support=https://a.example/?q=1", "Status=http://b.example")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXPLORER", "yes"),
        ("EXPLORER_NAME", ""),
        ("EXPLORER_COLOR", "red"),
        ("EXPLORER_COLOR", "#123456;}"),
        ("EXPLORER_LINKS", "https://a.example"),
        ("EXPLORER_LINKS", "Support=javascript:alert(1)"),
    ],
)
def test_wrong_settings_of_the_explorer_are_rejected(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match=f"GATEWAY_{name}"):
        _load(monkeypatch, **{name: value})
