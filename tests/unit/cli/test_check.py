"""`gateway check`: one finding for each part, and a remedy for each failure."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from tests.redis import Redis
from tests.unit.auth.oauth2_provider import OTHER_RSA, RSA, public
from tests.unit.ingest.stand_in import StandIn

MARKER = "marker-password"
SECRET = "s" * 32
Findings = dict[str, tuple[str, str]]


class Druid(StandIn):
    """A broker and a coordinator, behind path prefixes."""

    denied = 0
    data_sources = b'["chat_sessions", "visitor_sessions"]'
    status_page = b'{"version": "33.0.0"}'

    def response(self, method: str, path: str, sent: bytes) -> tuple[int, bytes]:  # noqa: ARG002
        if self.denied:
            return self.denied, b"<html>"
        path = path.partition("?")[0]
        pages = {
            "/b/druid/v2/datasources": b"[]",
            "/b/druid/v2/datasources/chat_sessions/candidates": b"[]",
            "/b/druid/v2/datasources/visitor_sessions/candidates": b"[]",
            "/c/druid/coordinator/v1/metadata/datasources": self.data_sources,
            "/c/druid/coordinator/v1/metadata/segments": b"[]",
            "/b/status": self.status_page,
            "/c/status": self.status_page,
        }
        return (200, pages[path]) if path in pages else (404, b"")


@pytest.fixture
def server() -> Iterator[Druid]:
    with Druid().running() as server:
        assert isinstance(server, Druid)
        yield server


def check(server: Druid, folder: Path, **variables: str) -> tuple[int, Findings]:
    usual = {
        "TOKEN_SECRET": SECRET,
        "DATABASE_URL": f"sqlite:///{folder}/accounts.db",
        "DRUID_BROKER_URL": f"{server.url}/b",
        "DRUID_COORDINATOR_URL": f"{server.url}/c",
    }
    environment = {f"GATEWAY_{name}": value for name, value in {**usual, **variables}.items()}
    result = CliRunner().invoke(app, ["check", "--json"], env=environment)
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert MARKER not in result.output
    return result.exit_code, {each["check"]: (each["state"], each["detail"]) for each in json.loads(result.stdout)}


def migrate(folder: Path) -> None:
    environment = {"GATEWAY_TOKEN_SECRET": SECRET, "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/accounts.db"}
    assert CliRunner().invoke(app, ["accounts", "migrate"], env=environment).exit_code == 0


def test_everything_that_works_is_shown_with_its_version(server: Druid, tmp_path: Path) -> None:
    migrate(tmp_path)
    code, findings = check(server, tmp_path)
    assert code == 0
    assert {name: state for name, (state, _) in findings.items()} == dict.fromkeys(
        (
            *("settings", "catalog", "database", "broker", "coordinator"),
            *("data set chat_sessions", "data set visitor_sessions"),
        ),
        "ok",
    )
    assert findings["broker"][1] == f"{server.url}/b is Druid 33.0.0"
    assert findings["database"][1].startswith("revision 0")


def test_every_failure_is_found_in_one_run(server: Druid, tmp_path: Path) -> None:
    code, findings = check(server, tmp_path, CATALOG="/nowhere", DRUID_BROKER_URL=f"{server.url}/c")
    assert code == 1
    assert findings["settings"][0] == findings["coordinator"][0] == "ok"
    assert findings["catalog"] == ("failed", "/nowhere: there is no such file or folder")
    assert findings["database"][1].endswith("run 'gateway accounts migrate'.")
    assert findings["broker"][1].endswith("is not a broker: correct GATEWAY_DRUID_BROKER_URL.")


@pytest.mark.parametrize(
    ("variables", "detail"),
    [
        ({"PROT": "1"}, "GATEWAY_PROT: did you mean GATEWAY_PORT?"),
        ({"PORT": "eighty"}, "GATEWAY_PORT: Input should be a valid integer"),
        ({"DRUID_PASSWORD": MARKER}, "GATEWAY_DRUID_USERNAME and GATEWAY_DRUID_PASSWORD belong together"),
        ({"SETTINGS_FILE": "/nowhere"}, "GATEWAY_SETTINGS_FILE: cannot read the file"),
    ],
)
def test_wrong_settings_are_findings_too(variables: dict[str, str], detail: str, server: Druid, tmp_path: Path) -> None:
    code, findings = check(server, tmp_path, **variables)
    assert code == 1
    assert findings["settings"][0] == "failed"
    assert findings["settings"][1].startswith(detail)


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "check GATEWAY_DRUID_USERNAME"), (403, "the permission for this")]
)
def test_a_rejected_user_is_named_with_the_remedy(status: int, remedy: str, server: Druid, tmp_path: Path) -> None:
    server.denied = status
    code, findings = check(server, tmp_path, DRUID_USERNAME="operator", DRUID_PASSWORD=MARKER)
    assert code == 1
    assert remedy in findings["broker"][1]
    assert remedy in findings["coordinator"][1]


def test_a_server_that_cannot_be_reached_or_is_no_druid_is_named(server: Druid, tmp_path: Path) -> None:
    server.status_page = b"<html>"
    code, findings = check(server, tmp_path, DRUID_COORDINATOR_URL="http://127.0.0.1:1")
    assert code == 1
    assert "connection refused. Check that it runs and that GATEWAY_DRUID_COORDINATOR_URL" in findings["coordinator"][1]
    assert "does not respond like Druid" in findings["broker"][1]


def test_a_warning_is_no_failure(server: Druid, tmp_path: Path) -> None:
    migrate(tmp_path)
    file = tmp_path / "gateway.toml"
    file.write_text(f'druid_password = "{MARKER}"\ndruid_username = "operator"')
    file.chmod(0o644)
    code, findings = check(server, tmp_path, SETTINGS_FILE=str(file), COMPLETENESS="off")
    assert code == 0
    assert findings["settings"][0] == findings["completeness"][0] == "warning"


def test_a_data_set_that_does_not_match_druid_is_a_failure(server: Druid, tmp_path: Path) -> None:
    migrate(tmp_path)
    server.data_sources = b'["chat_session", "visitor_sessions"]'
    code, findings = check(server, tmp_path)
    assert code == 1
    assert findings["data set visitor_sessions"][0] == "ok"
    state, detail = findings["data set chat_sessions"]
    assert state == "failed"
    assert detail.startswith("Druid has no data source 'chat_sessions' (did you mean 'chat_session'?)")


OAUTH = {"OAUTH_ISSUER": "https://login.example.com/", "OAUTH_AUDIENCE": "https://reports.example.com"}


def test_the_keys_of_the_oauth2_provider_are_read(server: Druid, tmp_path: Path) -> None:
    migrate(tmp_path)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [public(RSA, "rsa"), public(OTHER_RSA, "other")]}))
    code, findings = check(server, tmp_path, OAUTH_JWKS=str(file), **OAUTH)
    assert (code, findings["oauth"]) == (0, ("ok", f"2 keys of {file}"))


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("http://127.0.0.1:1/keys", "connection refused"),
        ("{url}/keys", "status 404"),
        ("{url}/b/status", "no usable key"),
    ],
)
def test_keys_that_cannot_be_used_are_a_failure(keys: str, reason: str, server: Druid, tmp_path: Path) -> None:
    url = keys.format(url=server.url)
    code, findings = check(server, tmp_path, OAUTH_JWKS=url, **OAUTH)
    remedy = "Check the provider, GATEWAY_OAUTH_JWKS and GATEWAY_OAUTH_ALGORITHMS."
    assert (code, findings["oauth"]) == (1, ("failed", f"{url} has no keys: {reason}. {remedy}"))


def test_a_key_file_that_cannot_be_read_is_a_wrong_setting(server: Druid, tmp_path: Path) -> None:
    code, findings = check(server, tmp_path, OAUTH_JWKS="/nonexistent", **OAUTH)
    assert code == 1
    assert findings["settings"] == (
        "failed",
        "GATEWAY_OAUTH_JWKS: cannot read the file: No such file or directory",
    )


def test_the_redis_of_the_rate_limits_is_tried(server: Druid, tmp_path: Path) -> None:
    migrate(tmp_path)
    redis = Redis(tmp_path)
    name = f"Redis 127.0.0.1:{redis.port}"
    try:
        code, findings = check(server, tmp_path, LIMITS_URL=redis.url.get_secret_value())
        assert (code, findings["limits"]) == (0, ("ok", f"{name} responds"))
        code, findings = check(server, tmp_path, LIMITS_URL=f"redis://:{MARKER}@127.0.0.1:{redis.port}")
        assert (code, findings["limits"][0]) == (1, "failed")
        assert findings["limits"][1].startswith(f"{name} cannot be used: invalid username-password pair")
    finally:
        redis.stop()
    code, findings = check(server, tmp_path, LIMITS_URL=redis.url.get_secret_value())
    remedy = "Check that it runs and that GATEWAY_LIMITS_URL is right."
    assert (code, findings["limits"]) == (1, ("failed", f"{name} cannot be used: connection refused. {remedy}"))


def test_a_redis_url_with_a_wrong_port_is_a_failure(server: Druid, tmp_path: Path) -> None:
    code, findings = check(server, tmp_path, LIMITS_URL=f"redis://:{MARKER}@host:port")
    assert (code, findings["limits"][0]) == (1, "failed")
