"""How the gateway proves its identity to Druid's services, and whose certificates it trusts."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import aiohttp

from gateway.druid.api.urls import ServiceUrl


@dataclass(frozen=True, slots=True)
class Security:
    """The same for all of Druid's services. `authorization` is an HTTP header's value, `tls` aiohttp's parameter."""

    authorization: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | Literal[True] = field(default=True, repr=False)

    @classmethod
    def load(
        cls,
        *,
        username: str | None = None,
        password: str | None = None,
        ca_file: Path | None = None,
        client_cert: Path | None = None,
        client_key: Path | None = None,
    ) -> Self:
        """Read the files. Raises ValueError, whose text names the setting and contains no secret."""
        return cls(_authorization(username, password), _tls(ca_file, client_cert, client_key))

    def headers(self, url: ServiceUrl) -> dict[str, str]:
        """Return the headers for a service: those of its URL's credentials, or of these. Never log them."""
        return url.headers() or ({"Authorization": self.authorization} if self.authorization else {})

    def check(self, urls: Iterable[ServiceUrl]) -> None:
        """Raise ValueError if these settings and the URLs contradict each other."""
        urls = tuple(urls)
        own = {"Authorization": self.authorization}
        if self.authorization and any(url.headers() not in ({}, own) for url in urls):
            raise ValueError(
                "GATEWAY_DRUID_USERNAME and GATEWAY_DRUID_PASSWORD differ from the credentials in a URL of Druid: "
                "remove those in the URL"
            )
        if self.tls is not True and not any(url.is_secure for url in urls):
            raise ValueError(
                "GATEWAY_DRUID_CA_FILE and GATEWAY_DRUID_CLIENT_CERT have no effect, because no URL of Druid begins "
                "with https://: correct the URLs, or unset them"
            )


OPEN = Security()
"""No credentials, and the CAs of the system."""


def _authorization(username: str | None, password: str | None) -> str | None:
    if (username is None) != (password is None):
        raise ValueError("GATEWAY_DRUID_USERNAME and GATEWAY_DRUID_PASSWORD belong together: set both, or none")
    if username is None or password is None:
        return None
    if ":" in username:
        raise ValueError("GATEWAY_DRUID_USERNAME contains a colon, which HTTP basic authentication does not allow")
    return aiohttp.encode_basic_auth(username, password)


def _tls(ca_file: Path | None, client_cert: Path | None, client_key: Path | None) -> ssl.SSLContext | Literal[True]:
    if client_key is not None and client_cert is None:
        raise ValueError("GATEWAY_DRUID_CLIENT_KEY needs the certificate: set GATEWAY_DRUID_CLIENT_CERT, too")
    if ca_file is None and client_cert is None:
        return True
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError("GATEWAY_DRUID_CA_FILE names a file without a certificate in PEM form") from None
    context.set_alpn_protocols(["http/1.1"])
    if client_cert is not None:
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(client_cert, client_key, password="")
        except ssl.SSLError as error:
            raise ValueError(
                "GATEWAY_DRUID_CLIENT_KEY is not the key of the certificate in GATEWAY_DRUID_CLIENT_CERT"
                if error.reason == "KEY_VALUES_MISMATCH"
                else "GATEWAY_DRUID_CLIENT_CERT and GATEWAY_DRUID_CLIENT_KEY must name a certificate and its private "
                "key in PEM form; the key must not be encrypted"
            ) from None
    return context
