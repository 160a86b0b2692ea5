"""HTTP towards Druid's services: redirects to the leader, credentials, errors as messages without secrets.

Every client in this package sends through a `Service`. Nothing outside this module sees an aiohttp exception, whose
text may contain a URL or a header with credentials.
"""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from gateway.druid.api.security import OPEN, Security
from gateway.druid.api.urls import ServiceUrl

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 307, 308})


def quoted(*segments: str) -> str:
    """Return a URL path of these segments, each of which may contain any character."""
    return "/".join(quote(each, safe="") for each in segments)


class ServiceError(Exception):
    """A Druid service did not do what it was asked. The text is one sentence without credentials."""


class ServiceUnreachable(ServiceError):
    """The service gave no response, or only a part of one. This may pass: it may be restarting."""


class UnexpectedStatus(ServiceError):
    """The service responded with another status than was expected. `text` is its own message."""

    def __init__(self, service: object, status: int, body: bytes) -> None:
        self.status = status
        self.text = message_in(body)
        meaning = ACCESS_DENIED.get(status) or f"responded with status {status}: {self.text[:200]}".rstrip(": ")
        super().__init__(f"{service} {meaning}")


ACCESS_DENIED: Mapping[int, str] = {
    401: "rejected the credentials (401): check GATEWAY_DRUID_USERNAME and GATEWAY_DRUID_PASSWORD.",
    403: "denied access (403): give Druid's user of GATEWAY_DRUID_USERNAME the permission for this.",
}
"""What the statuses of a refused client mean, and the remedy."""
_MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "the host name cannot be resolved"),
    (socket.gaierror, "the host name cannot be resolved"),
    (TimeoutError, "no response in time"),
    (aiohttp.ServerDisconnectedError, "the connection was closed before the response"),
    (aiohttp.ClientPayloadError, "the connection was closed in the middle of the response"),
    (aiohttp.ClientResponseError, "the response is not valid HTTP"),
    (aiohttp.InvalidURL, "the URL is not valid"),
)
"""What an exception means; the first line that matches counts."""
_DROPPED = (aiohttp.ServerDisconnectedError, ConnectionResetError, aiohttp.ClientOSError)


def describe(error: BaseException, *, tls: bool = False) -> str:
    """Return what happened, for a log line or a terminal, without a URL and without credentials."""
    if isinstance(error, ServiceError):
        return str(error)
    if cause := next((each for each in (error.__cause__, error) if isinstance(each, ssl.SSLError)), None):
        return _tls_failure(cause)
    if tls and isinstance(error, _DROPPED):
        return dropped(error, tls=tls)
    for kind, meaning in _MEANINGS:
        if isinstance(error, kind):
            return meaning
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return type(error).__name__


def dropped(error: BaseException | None, *, tls: bool) -> str:
    """Return why a connection may have been closed before the response.

    A TLS 1.3 client can send its request before the server has checked the client's certificate.
    """
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error)
    closed = "the connection was closed before the response"
    return f"{closed}; a rejected TLS client certificate is a possible reason" if tls else closed


def _tls_failure(error: ssl.SSLError) -> str:
    """Return which side rejected the other's certificate, and why."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the TLS certificate is not trusted: {error.verify_message} (GATEWAY_DRUID_CA_FILE names the CA)"
    reason = (error.reason or "").lower().replace("_", " ")
    if ("alert" in reason and "certificate" in reason) or "unknown ca" in reason:
        return f"the server rejected the TLS client certificate: {reason} (GATEWAY_DRUID_CLIENT_CERT names one)"
    return f"the TLS handshake failed: {reason}".rstrip(": ")


def message_in(body: bytes | bytearray) -> str:
    """Return Druid's own message in the body of an error response."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = bytes(body).decode(errors="replace").strip()
        return "a page of HTML, so it may be another service" if text.startswith("<") else text
    if isinstance(parsed, dict):
        return str(parsed.get("errorMessage") or parsed.get("error") or parsed)
    return str(parsed)


class Service:
    """A client of one Druid service, which may have several instances. An async context manager: it holds connections.

    The first URL that can be connected to is used. A redirect is followed (a coordinator that does not lead redirects
    to the one that does); the credentials are sent only to hosts that are among the URLs.
    """

    def __init__(
        self, urls: Sequence[ServiceUrl], security: Security = OPEN, *, timeout: aiohttp.ClientTimeout
    ) -> None:
        self._urls = tuple(urls)
        self._tls = security.tls
        self._timeout = timeout
        self._credentials = {each.public.origin(): security.headers(each) for each in self._urls}

    def __str__(self) -> str:
        return ", ".join(map(str, self._urls))

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls),
            timeout=self._timeout,
            headers={"Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp enforces it
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and give its response, of whatever status. `path` is quoted; see `quoted`.

        Raises ServiceUnreachable, also for what goes wrong while the response is read.
        """
        timeout = timeout or self._timeout
        arguments = {"params": params, "data": data, "timeout": timeout}
        try:
            async with await self._open(method, path, arguments) as response:
                yield response
        except aiohttp.TooManyRedirects as error:
            raise ServiceUnreachable(f"{self} has no leader yet.") from error
        except TimeoutError as error:
            raise ServiceUnreachable(f"{self} gave no response in {timeout.total:g} s.") from error
        except aiohttp.ClientError as error:
            tls = any(url.is_secure for url in self._urls)
            raise ServiceUnreachable(f"{self} cannot be reached: {describe(error, tls=tls)}.") from error

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp enforces it
    ) -> tuple[int, bytes]:
        """Return the status, whichever it is, and the body. Raises ServiceUnreachable."""
        async with self.stream(method, path, params=params, data=data, timeout=timeout) as response:
            return response.status, await response.read()

    async def _open(self, method: str, path: str, arguments: Mapping[str, Any]) -> aiohttp.ClientResponse:
        *others, last = self._urls
        for url in others:
            with suppress(aiohttp.ClientConnectorError):
                return await self._follow(method, url / path, arguments)
        return await self._follow(method, last / path, arguments)

    async def _follow(self, method: str, url: URL, arguments: Mapping[str, Any]) -> aiohttp.ClientResponse:
        for _ in range(_MOST_REDIRECTS):
            headers = {"Content-Type": "application/json", **self._credentials.get(url.origin(), {})}
            response = await self._session.request(method, url, headers=headers, allow_redirects=False, **arguments)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return response
            response.close()
            url = url.join(URL(location)).with_user(None)
            # The location already contains the parameters.
            arguments = {**arguments, "params": None}
        raise aiohttp.TooManyRedirects(response.request_info, ())
