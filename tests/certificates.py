"""Certificates for tests: a private CA that issues certificates for 127.0.0.1."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """PEM files of a certificate and its private key."""

    certificate: Path
    key: Path


class CertificateAuthority:
    """`file` is the PEM file of its own certificate."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        certificate = _builder(self._name, self._name, self._key.public_key(), _DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        # OpenSSL's strict checks, on by default since Python 3.13, require it.
        certificate = certificate.add_extension(_usage(signs_certificates=True), critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def issue(self, name: str, *, expires_in: timedelta = _DAY, key_password: bytes | None = None) -> Identity:
        """Write a certificate for servers at 127.0.0.1, and for clients. A negative time makes an expired one."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_named(name), self._name, key.public_key(), expires_in)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )
        identity = Identity(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        identity.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        encryption: KeySerializationEncryption = (
            NoEncryption() if key_password is None else BestAvailableEncryption(key_password)
        )
        identity.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return identity

    def server_context(self, *, expires_in: timedelta = _DAY) -> ssl.SSLContext:
        """Return the TLS of a server at 127.0.0.1 that requires a client certificate of this CA."""
        server = self.issue("server", expires_in=expires_in)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.file)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(server.certificate, server.key)
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, expires_in: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * _DAY)
        .not_valid_after(now + expires_in)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
