"""A PostgreSQL behind TLS whose certificate is signed by a private CA."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr
from sqlalchemy import make_url

from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts


def _write_certificate(folder: Path) -> Path:
    """Write a self-signed certificate and its key, which also is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "ca.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + pem)
    return file


@dataclass
class TlsServer:
    """Accepts PostgreSQL's request for TLS and forwards the decrypted bytes to a PostgreSQL without TLS."""

    port: int
    ca: Path

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == bytes.fromhex("00000008 04d2162f")  # SSLRequest
        writer.write(b"S")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.ca)
        try:
            await writer.start_tls(context)
        except (ssl.SSLError, ConnectionError):
            writer.close()
            return
        database, to_database = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(_copy(reader, to_database), _copy(database, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
    except (OSError, ssl.SSLError):
        pass
    finally:
        target.close()


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return _write_certificate(tmp_path)


@pytest.fixture
async def tls_url(postgresql_url: str, ca: Path) -> AsyncIterator[str]:
    url = make_url(postgresql_url)
    assert url.port is not None
    async with await asyncio.start_server(TlsServer(url.port, ca).forward, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        yield url.set(port=port).render_as_string(hide_password=False)


def _accounts(url: str) -> Accounts:
    return Accounts(AccountSettings(database_url=SecretStr(url), token_secret=SecretStr("s" * 32)))


@pytest.mark.parametrize("parameters", ["sslmode=require", "sslmode=verify-full&sslrootcert={ca}"])
async def test_libpqs_parameters_for_tls_are_understood(tls_url: str, ca: Path, parameters: str) -> None:
    async with _accounts(f"{tls_url}?{parameters.format(ca=ca)}") as accounts:
        await accounts.migrate()
        await accounts.check_schema()


async def test_an_unknown_ca_is_reported_as_a_certificate_problem(tls_url: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = _write_certificate(tmp_path / "other")
    async with _accounts(f"{tls_url}?sslmode=verify-full&sslrootcert={other}") as accounts:
        with pytest.raises(DatabaseNotReady, match="certificate is not trusted") as not_ready:
            await accounts.check_schema()
    assert "sslrootcert=" in str(not_ready.value)
    assert "Operation not permitted" not in str(not_ready.value)
