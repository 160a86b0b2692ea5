"""A PostgreSQL with TLS whose certificate is signed by a private CA."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts
from tests import postgresql


def _certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
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
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of a database, and the file of the CA that signed its server's certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    ca = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.write_bytes(_certificate(key))
    with postgresql.running(certificate=ca.read_bytes(), key=pem) as running:
        yield running.url("postgres"), ca


def _accounts(url: str) -> Accounts:
    return Accounts(AccountSettings(database_url=SecretStr(url), token_secret=SecretStr("s" * 32)))


@pytest.mark.parametrize("parameters", ["sslmode=require", "sslmode=verify-full&sslrootcert={ca}"])
async def test_libpqs_parameters_for_tls_are_understood(server: tuple[str, Path], parameters: str) -> None:
    url, ca = server
    async with _accounts(f"{url}?{parameters.format(ca=ca)}") as accounts:
        await accounts.migrate()
        async with accounts.engine.connect() as connection:
            assert (
                await connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            ).scalar_one()


async def test_an_unknown_ca_is_reported_as_a_certificate_problem(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url, _ = server
    other = tmp_path / "other.pem"
    other.write_bytes(_certificate(ec.generate_private_key(ec.SECP256R1())))
    monkeypatch.setenv("PGSSLROOTCERT", str(other))
    async with _accounts(f"{url}?sslmode=verify-full") as accounts:
        with pytest.raises(DatabaseNotReady, match="certificate is not trusted") as not_ready:
            await accounts.check_schema()
    assert "sslrootcert=" in str(not_ready.value)
    assert "Operation not permitted" not in str(not_ready.value)
