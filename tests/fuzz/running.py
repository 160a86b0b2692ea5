"""The gateway that is fuzzed, in a thread of its own, in front of a stand-in for Druid without rows."""

import http.client
import json
import os
import socket
import tempfile
import threading
import time
from base64 import urlsafe_b64encode
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from anyio.from_thread import BlockingPortal, start_blocking_portal
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from gateway.auth.settings import OAuthSettings
from tests.http.stalls import Stalls, measured_stalls
from tests.http.stand_in import respond, standing_in
from tests.serving import D, Gateway, serving, settings_for

STALL_SECONDS: Final = float(os.environ.get("FUZZ_STALL_SECONDS", "0.02"))
"""The longest that one input may occupy the event loop, in CPU time. Instrumented code is several times slower."""
CPU_SECONDS: Final = 1.0
"""The most CPU time for one input in all."""

_KEY = Ed25519PrivateKey.generate()
_HEADER = b'{"alg":"EdDSA","kid":"fuzz","typ":"at+jwt"}'
_UNLIMITED: dict[str, Any] = {
    "requests_per_minute": 10**9,
    "failed_authentications_per_minute": 10**9,
    "cpu_seconds_per_minute": 86_400.0,
    "body_timeout": 0.2,
}


@dataclass(frozen=True, slots=True)
class Response:
    """The gateway's response; status 0 if it closed the connection without one."""

    status: int
    content_type: str
    body: bytes


class FuzzedGateway:
    """Sends requests, and checks for each how long it occupied the gateway's event loop."""

    def __init__(self, gateway: Gateway, portal: BlockingPortal, stalls: Stalls) -> None:
        self.gateway = gateway
        self._portal = portal
        self._stalls = stalls
        self._cpu_clock = time.pthread_getcpuclockid(portal.call(threading.get_ident))
        self._address = urlsplit(gateway.url).netloc
        self._connection = http.client.HTTPConnection(self._address, timeout=20)

    def close(self) -> None:
        """Close the connection that is kept alive."""
        self._connection.close()

    def request(self, path: str, headers: dict[str, bytes], body: bytes) -> Response:
        """Send one POST over a connection that is kept alive."""
        began = time.clock_gettime(self._cpu_clock)
        for attempt in range(2):
            try:
                self._connection.putrequest("POST", path, skip_accept_encoding=True)
                for name, value in {**headers, "Content-Length": str(len(body)).encode()}.items():
                    self._connection.putheader(name, value)
                self._connection.endheaders(body)
                response = self._connection.getresponse()
                found = Response(response.status, response.headers.get_content_type(), response.read())
                break
            except (http.client.HTTPException, OSError):
                # The gateway closes the connection after some errors.
                self._connection.close()
                if attempt:
                    raise
        self._check_time(began, len(body))
        return found

    def send(self, data: bytes) -> bytes:
        """Send any bytes over a connection of their own; return everything that comes back."""
        began, received = time.clock_gettime(self._cpu_clock), b""
        host, _, port = self._address.partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection, suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                received += chunk
        self._check_time(began, len(data))
        return received

    def _check_time(self, began: float, size: int) -> None:
        took = time.clock_gettime(self._cpu_clock) - began
        assert took < CPU_SECONDS, f"{took:.1f} s of CPU time for {size} bytes"
        if took > STALL_SECONDS:
            # The stall is only measured when the loop's timer has ticked again.
            time.sleep(0.01)
            longest, self._stalls.longest = self._stalls.longest, 0.0
            assert longest < STALL_SECONDS, f"a stall of {longest * 1000:.0f} ms for {size} bytes"


def signed(claims: bytes) -> str:
    """Return an access token whose signature is valid, with any claims."""
    text = f"{packed(_HEADER)}.{packed(claims)}"
    return f"{text}.{packed(_KEY.sign(text.encode()))}"


def packed(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


_running = ExitStack()


@cache
def fuzzed_gateway() -> FuzzedGateway:
    """Start the gateway once; it runs until the process ends, or until `stop`."""
    log = _running.enter_context(Path(os.devnull).open("w"))  # noqa: SIM115 - `stop` closes it
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(log),
    )
    stand_in_portal = _running.enter_context(start_blocking_portal(backend_options={"use_uvloop": True}))
    druid = _running.enter_context(stand_in_portal.wrap_async_context_manager(standing_in()))
    druid.answer = respond([])
    folder = Path(tempfile.mkdtemp())
    key = OKPAlgorithm.to_jwk(_KEY.public_key(), as_dict=True) | {"kid": "fuzz", "use": "sig", "alg": "EdDSA"}
    (folder / "jwks.json").write_text(json.dumps({"keys": [key]}))
    oauth = OAuthSettings(
        issuer="fuzz", audience="fuzz", jwks=str(folder / "jwks.json"), algorithms=frozenset({"EdDSA"})
    )
    portal = _running.enter_context(start_blocking_portal(backend_options={"use_uvloop": True}))
    settings = settings_for(folder, druid.url, oauth=oauth, **_UNLIMITED)
    gateway = _running.enter_context(portal.wrap_async_context_manager(serving(settings)))
    stalls = _running.enter_context(portal.wrap_async_context_manager(measured_stalls()))
    fuzzed = FuzzedGateway(gateway, portal, stalls)
    _running.callback(fuzzed.close)
    # The first request loads what all later ones use.
    token = f"Token {gateway.tokens[D]}".encode()
    fuzzed.send(b"")
    with suppress(AssertionError):
        fuzzed.request(gateway.path(), {"Authorization": token}, b"{}")
    return fuzzed


def stop() -> None:
    """Stop the gateway; the next use starts another one."""
    _running.close()
    fuzzed_gateway.cache_clear()
