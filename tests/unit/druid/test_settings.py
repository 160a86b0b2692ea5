"""The settings of the way to Druid."""

import pytest

from gateway.druid.api.urls import ServiceUrl
from gateway.settings import Settings, SettingsInvalid


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", "s" * 32)


def test_completeness_needs_a_coordinator_unless_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match=r"GATEWAY_DRUID_COORDINATOR_URL.*GATEWAY_COMPLETENESS=off"):
        Settings.from_environment()
    monkeypatch.setenv("GATEWAY_COMPLETENESS", "off")
    assert Settings.from_environment().druid_coordinator_url == ()
    monkeypatch.setenv("GATEWAY_COMPLETENESS", "on")
    monkeypatch.setenv("GATEWAY_DRUID_COORDINATOR_URL", "http://one:8081, http://other:8081")
    assert Settings.from_environment().druid_coordinator_url == (
        ServiceUrl("http://one:8081"),
        ServiceUrl("http://other:8081"),
    )


def test_what_is_known_must_remain_valid_until_it_is_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DRUID_COORDINATOR_URL", "http://one:8081")
    monkeypatch.setenv("GATEWAY_COVERAGE_PERIOD", "300")
    with pytest.raises(SettingsInvalid, match="GATEWAY_COMPLETENESS_MAX_AGE"):
        Settings.from_environment()


def test_no_text_form_of_the_settings_contains_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DRUID_COORDINATOR_URL", "http://admin:marker@one:8081")
    monkeypatch.setenv("GATEWAY_DRUID_BROKER_URL", "https://admin:marker@one,http://admin:marker@other")
    settings = Settings.from_environment()
    assert "marker" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    monkeypatch.setenv("GATEWAY_DRUID_BROKER_URL", "ftp://admin:marker@one")
    with pytest.raises(SettingsInvalid) as failure:
        Settings.from_environment()
    assert "GATEWAY_DRUID_BROKER_URL" in str(failure.value)
    assert "marker" not in str(failure.value)
