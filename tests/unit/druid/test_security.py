"""Credentials and TLS towards Druid: which settings are accepted, and what is sent."""

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from gateway.configuration import SettingsInvalid
from gateway.druid.api.broker import Broker
from gateway.druid.api.coordinator import Coordinator
from gateway.druid.api.http import Service, ServiceError, ServiceUnreachable
from gateway.druid.api.security import OPEN, Security
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.settings import DruidAccess
from gateway.settings import Settings
from tests.certificates import CertificateAuthority
from tests.serving import listening

MARKER = "marker-password"
TIMEOUT = aiohttp.ClientTimeout(total=5)
BASIC = aiohttp.encode_basic_auth("operator", MARKER)


@pytest.fixture
def ca(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def access(monkeypatch: pytest.MonkeyPatch, **variables: object) -> Security:
    for name, value in variables.items():
        monkeypatch.setenv(f"GATEWAY_DRUID_{name}", str(value))
    return DruidAccess.from_environment().druid_security


def test_without_settings_there_are_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    assert access(monkeypatch) == OPEN
    assert OPEN.headers(ServiceUrl("http://a")) == {}


def test_a_user_name_and_a_password_are_sent_to_every_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{MARKER}\n")
    security = access(monkeypatch, USERNAME="operator", PASSWORD_FILE=tmp_path / "password")
    assert security.headers(ServiceUrl("http://a")) == {"Authorization": BASIC}
    assert MARKER not in f"{security!r} {security}"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"USERNAME": "operator"}, "belong together"),
        ({"PASSWORD": MARKER}, "belong together"),
        ({"USERNAME": f"a:{MARKER}", "PASSWORD": MARKER}, "contains a colon"),
        ({"CA_FILE": "/nowhere"}, "GATEWAY_DRUID_CA_FILE: cannot read the file: No such file"),
        ({"CA_FILE": "/"}, "GATEWAY_DRUID_CA_FILE: cannot read the file: Is a directory"),
        ({"CA_FILE": __file__}, "GATEWAY_DRUID_CA_FILE names a file without a certificate"),
        ({"CLIENT_CERT": "/nowhere"}, "GATEWAY_DRUID_CLIENT_CERT: cannot read the file"),
        ({"CLIENT_CERT": "{one}.crt", "CLIENT_KEY": "/nowhere"}, "GATEWAY_DRUID_CLIENT_KEY: cannot read the file"),
        ({"CLIENT_KEY": "{one}.key"}, "set GATEWAY_DRUID_CLIENT_CERT, too"),
        ({"CLIENT_CERT": "{one}.crt"}, "must name a certificate and its private key"),
        ({"CLIENT_CERT": "{one}.crt", "CLIENT_KEY": "{other}.key"}, "is not the key of the certificate"),
        ({"CLIENT_CERT": "{locked}.crt", "CLIENT_KEY": "{locked}.key"}, "must not be encrypted"),
    ],
)
def test_unusable_settings_are_one_clear_sentence(
    variables: dict[str, str], problem: str, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("one", "other"):
        ca.issue(name)
    ca.issue("locked", key_password=MARKER.encode())
    paths = {name: tmp_path / name for name in ("one", "other", "locked")}
    with pytest.raises(SettingsInvalid, match=problem) as rejected:
        access(monkeypatch, **{name: value.format(**paths) for name, value in variables.items()})
    assert str(rejected.value).count("\n") == 1
    assert MARKER not in str(rejected.value)


def test_other_credentials_in_a_url_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", "s" * 32)
    monkeypatch.setenv("GATEWAY_COMPLETENESS", "off")
    monkeypatch.setenv("GATEWAY_DRUID_USERNAME", "operator")
    monkeypatch.setenv("GATEWAY_DRUID_PASSWORD", MARKER)
    monkeypatch.setenv("GATEWAY_DRUID_BROKER_URL", f"http://operator:{MARKER}@a,http://b")
    Settings.from_environment()
    monkeypatch.setenv("GATEWAY_DRUID_BROKER_URL", f"http://other:{MARKER}@a")
    with pytest.raises(SettingsInvalid, match="differ from the credentials in a URL") as rejected:
        Settings.from_environment()
    assert MARKER not in str(rejected.value)


def test_certificates_without_an_https_url_are_rejected(
    monkeypatch: pytest.MonkeyPatch, ca: CertificateAuthority
) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", "s" * 32)
    monkeypatch.setenv("GATEWAY_COMPLETENESS", "off")
    monkeypatch.setenv("GATEWAY_DRUID_CA_FILE", str(ca.file))
    with pytest.raises(SettingsInvalid, match="no URL of Druid begins with https://"):
        Settings.from_environment()


async def show_authorization(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.path} {request.headers.get('Authorization', 'none')}")


@pytest.fixture
async def secured(ca: CertificateAuthority) -> AsyncIterator[str]:
    """A server that requires client certificates and shows the Authorization header; its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", show_authorization)
    async with listening(app, ssl_context=ca.server_context()) as url:
        yield url


async def test_the_client_shows_its_certificate_and_its_credentials(
    secured: str, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ca.issue("client")
    security = access(
        monkeypatch, USERNAME="operator", PASSWORD=MARKER, CA_FILE=ca.file, CLIENT_CERT=client.certificate,
        CLIENT_KEY=client.key,
    )  # fmt: skip
    async with Service([ServiceUrl(f"{secured}/prefix/")], security, timeout=TIMEOUT) as service:
        assert await service.fetch("GET", "druid/v2") == (200, f"/prefix/druid/v2 {BASIC}".encode())


async def test_a_certificate_and_its_key_may_be_in_one_file(
    secured: str, ca: CertificateAuthority, tmp_path: Path
) -> None:
    client = ca.issue("client")
    both = tmp_path / "both.pem"
    both.write_bytes(client.certificate.read_bytes() + client.key.read_bytes())
    security = Security.load(ca_file=ca.file, client_cert=both)
    async with Service([ServiceUrl(secured)], security, timeout=TIMEOUT) as service:
        assert (await service.fetch("GET", "a"))[0] == 200


@pytest.mark.parametrize(
    ("client", "problem"),
    [
        ("stranger", "the TLS certificate is not trusted: self-signed certificate in certificate chain"),
        ("none", "a rejected TLS client certificate is a possible reason"),
        ("expired", "a rejected TLS client certificate is a possible reason"),
    ],
)
async def test_a_failed_handshake_is_reported_with_the_reason(
    client: str, problem: str, secured: str, ca: CertificateAuthority, tmp_path: Path
) -> None:
    expired = ca.issue("client", expires_in=timedelta(days=-1))
    security = {
        "stranger": Security.load(ca_file=CertificateAuthority(tmp_path, "stranger").file),
        "none": Security.load(ca_file=ca.file),
        "expired": Security.load(ca_file=ca.file, client_cert=expired.certificate, client_key=expired.key),
    }[client]
    async with Service([ServiceUrl(secured)], security, timeout=TIMEOUT) as service:
        with pytest.raises(ServiceUnreachable, match=problem):
            await service.fetch("GET", "a")
    async with Broker(ServiceUrl(secured), security) as broker:
        assert not await broker.is_healthy()


@contextmanager
def sending_alerts(context: ssl.SSLContext) -> Iterator[str]:
    """A server that fails a handshake as OpenSSL does, with an alert. asyncio's servers reset the connection."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with secured, suppress(OSError):
            try:
                secured.do_handshake()
            except ssl.SSLError:
                # Otherwise the request, which is not read, would cause a reset.
                plain = socket.socket(fileno=secured.detach())
                plain.shutdown(socket.SHUT_WR)
                with plain:
                    while plain.recv(65536):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("client", "alert"),
    [("none", "tlsv13 alert certificate required"), ("expired", "sslv3 alert certificate expired")],
)
async def test_a_servers_alert_about_the_client_certificate_is_reported(
    client: str, alert: str, ca: CertificateAuthority
) -> None:
    expired = ca.issue("client", expires_in=timedelta(days=-1))
    security = {
        "none": Security.load(ca_file=ca.file),
        "expired": Security.load(ca_file=ca.file, client_cert=expired.certificate, client_key=expired.key),
    }[client]
    with sending_alerts(ca.server_context()) as url:
        async with Service([ServiceUrl(url)], security, timeout=TIMEOUT) as service:
            with pytest.raises(ServiceUnreachable, match=f"the server rejected the TLS client certificate: {alert}"):
                # A GET would be sent twice.
                await service.fetch("POST", "a")


@pytest.mark.parametrize(("status", "remedy"), [(401, "check GATEWAY_DRUID_PASSWORD"), (403, "give Druid's user")])
async def test_rejected_credentials_are_named_with_the_remedy(status: int, remedy: str) -> None:
    async def reject(_: web.Request) -> web.Response:
        return web.Response(status=status, text="<html>")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", reject)
    async with listening(app) as url, Coordinator([ServiceUrl(url)]) as coordinator:
        with pytest.raises(ServiceError) as failure:
            await coordinator.stored_segments("a", [])
    assert remedy.rsplit(maxsplit=1)[-1] in str(failure.value)
    assert "<html>" not in str(failure.value)


@pytest.mark.parametrize(
    ("paths", "healthy"),
    [
        ({"/prefix/druid/broker/v1/readiness": 200}, True),
        ({"/prefix/druid/broker/v1/readiness": 503, "/prefix/status/health": 200}, False),
        ({"/prefix/status/health": 200}, True),
        ({}, False),
    ],
)
async def test_a_router_is_healthy_although_it_has_no_readiness(paths: dict[str, int], *, healthy: bool) -> None:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(status=paths.get(request.path, 404))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    async with listening(app) as url, Broker(ServiceUrl(f"{url}/prefix")) as broker:
        assert await broker.is_healthy() is healthy
