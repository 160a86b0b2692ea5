"""HTTP towards Druid's services: URLs that hide their credentials, redirects to the leader, errors as safe messages.

Every client in this package sends through a `Service`. Nothing outside this module sees an aiohttp exception, whose
text may contain a URL or a header with credentials.
"""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self, final
from urllib.parse import quote

import aiohttp
import orjson
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from yarl import URL

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 307, 308})


@final
class ServiceUrl:
    """The base URL of a Druid service. Its text form never contains the credentials that the URL may carry."""

    __slots__ = ("_headers", "public")

    def __init__(self, text: str) -> None:
        """Read `http://[user:password@]host[:port][/path]`. Raises ValueError, whose text contains no credentials."""
        try:
            url = URL(text)
        except ValueError:
            url = URL()
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("give a URL such as http://druid.example:8082")
        self.public = url.with_user(None).with_path(url.path)
        has_credentials = url.user or url.password
        self._headers = (
            {"Authorization": aiohttp.encode_basic_auth(url.user or "", url.password or "")} if has_credentials else {}
        )

    def __str__(self) -> str:
        return str(self.public)

    def __repr__(self) -> str:
        return f"ServiceUrl({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServiceUrl) and (self.public, self._headers) == (other.public, other._headers)

    def __hash__(self) -> int:
        return hash(self.public)

    def headers(self) -> dict[str, str]:
        """Return the headers that carry the credentials, if there are any. Never log them."""
        return dict(self._headers)

    def __truediv__(self, path: str) -> URL:
        """Return the public URL of a path that is already quoted; see `quoted`."""
        return URL(f"{str(self.public).rstrip('/')}/{path}", encoded=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let settings have fields of this type."""
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, ServiceUrl) else cls(str(value)),
            serialization=core_schema.to_string_ser_schema(),
        )


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
        super().__init__(f"{service} responded with status {status}: {self.text[:200]}".rstrip(": "))


_NOT_TRUSTED = "the TLS certificate is not trusted (SSL_CERT_FILE adds a private CA)"
_MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "the host name cannot be resolved"),
    (socket.gaierror, "the host name cannot be resolved"),
    (aiohttp.ClientConnectorCertificateError, _NOT_TRUSTED),
    (ssl.SSLCertVerificationError, _NOT_TRUSTED),
    (aiohttp.ClientSSLError, "the TLS handshake failed"),
    (ssl.SSLError, "the TLS handshake failed"),
    (TimeoutError, "no response in time"),
    (aiohttp.ServerDisconnectedError, "the connection was closed before the response"),
    (aiohttp.ClientPayloadError, "the connection was closed in the middle of the response"),
    (aiohttp.ClientResponseError, "the response is not valid HTTP"),
    (aiohttp.InvalidURL, "the URL is not valid"),
)
"""What an exception means; the first line that matches counts."""


def describe(error: BaseException) -> str:
    """Return what happened, for a log line or a terminal, without a URL and without credentials."""
    if isinstance(error, ServiceError):
        return str(error)
    for kind, meaning in _MEANINGS:
        if isinstance(error, kind):
            return meaning
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return type(error).__name__


def message_in(body: bytes | bytearray) -> str:
    """Return Druid's own message in the body of an error response."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return bytes(body).decode(errors="replace").strip()
    if isinstance(parsed, dict):
        return str(parsed.get("errorMessage") or parsed.get("error") or parsed)
    return str(parsed)


class Service:
    """A client of one Druid service, which may have several instances. An async context manager: it holds connections.

    The first URL that can be connected to is used. A redirect is followed (a coordinator that does not lead redirects
    to the one that does); the credentials are sent only to hosts that are among the URLs.
    """

    def __init__(self, urls: Sequence[ServiceUrl], *, timeout: aiohttp.ClientTimeout) -> None:
        self._urls = tuple(urls)
        self._timeout = timeout
        self._credentials = {each.public.origin(): each.headers() for each in self._urls}

    def __str__(self) -> str:
        return ", ".join(map(str, self._urls))

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers={"Accept-Encoding": "identity"})
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
            raise ServiceUnreachable(f"{self} cannot be reached: {describe(error)}.") from error

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
