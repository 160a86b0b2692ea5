"""The public keys of the OAuth2 provider: fetched, cached and refreshed.

PyJWT parses and checks keys. Its PyJWKClient is not used, because it blocks the event loop while it fetches.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from math import inf
from types import MappingProxyType, TracebackType
from typing import Final, Literal, Self

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from jwt import PyJWK, PyJWTError
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.auth.settings import Algorithm, OAuthSettings
from gateway.errors import AccountsUnavailable

MIN_INTERVAL: Final = 30.0
"""Seconds between the starts of two fetches, also failed ones: tokens with invented key ids cause no more."""
FRESH: Final = 300.0
"""Seconds after which keys are fetched again, so that a key that the provider has withdrawn is rejected."""
USABLE: Final = 3600.0
"""Seconds for which keys are used while the provider does not respond."""

UNREADABLE: Final = (ClientError, OSError, TimeoutError, ValueError)
"""What `KeySet.read` raises. The text of a ValueError says why; the others come from the connection or the file."""

_TIMEOUT: Final = ClientTimeout(total=5)
_MAX_BYTES: Final = 256 * 1024

_Keys = Mapping[tuple[str, str], PyJWK]

_log = structlog.get_logger(__name__)


def parse(text: bytes, algorithms: AbstractSet[Algorithm]) -> _Keys:
    """Return the keys of a JWK set (RFC 7517) that can verify one of `algorithms`, by key id and algorithm. Pure.

    As the RFC demands, other keys are ignored: those of another type or use, without an id, too short, private or
    shared. Raises `ValueError` if no key is left.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    keys: dict[tuple[str, str], PyJWK] = {}
    for entry in entries if isinstance(entries, list) else ():
        try:
            jwk = _Jwk.model_validate(entry)
        except ValidationError:
            continue
        for algorithm in algorithms:
            if jwk.can_verify(algorithm) and (key := _key(entry, algorithm)):
                keys.setdefault((jwk.kid, algorithm), key)
    if not keys:
        raise ValueError("no usable key")
    return MappingProxyType(keys)


def _key(entry: dict[str, object], algorithm: Algorithm) -> PyJWK | None:
    try:
        key = PyJWK(entry, algorithm)
        key.Algorithm.prepare_key(key.key)  # checks the curve
    except PyJWTError:
        return None
    return key if key.Algorithm.check_key_length(key.key) is None else None


class _Jwk(BaseModel):
    """What PyJWT does not check."""

    model_config = ConfigDict(strict=True)

    kid: str
    alg: str | None = None
    use: Literal["sig"] = "sig"
    key_ops: list[str] = ["verify"]
    d: None = None  # the private part

    def can_verify(self, algorithm: Algorithm) -> bool:
        return "verify" in self.key_ops and self.alg in {None, algorithm}


class KeySet:
    """The provider's keys. An async context manager; the first request for a key fetches them."""

    def __init__(self, settings: OAuthSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._session: ClientSession | None = None
        self._keys: _Keys = {}
        self._loaded_at = -inf
        self._started_at = -inf
        self._failed = False
        self._loading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._settings.jwks_file is None:
            self._session = ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._loading:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def key(self, key_id: str, algorithm: str) -> PyJWK | None:
        """Return the key with this id for this algorithm, None if the provider has no such key.

        Raises `AccountsUnavailable` if the provider's current keys are unknown.
        """
        wanted = (key_id, algorithm)
        age = self._clock() - self._loaded_at
        if wanted in self._keys and age < USABLE:
            if age >= FRESH:
                self._start_loading()  # not awaited: this key is valid until the provider is known to withdraw it
            return self._keys[wanted]
        if loading := self._start_loading():
            await asyncio.shield(loading)
        if self._clock() - self._loaded_at >= USABLE or (self._failed and wanted not in self._keys):
            raise AccountsUnavailable("Access tokens cannot be checked at the moment. Try again shortly.")
        return self._keys.get(wanted)

    def _start_loading(self) -> asyncio.Task[None] | None:
        if self._loading is not None:
            return self._loading
        if self._clock() - self._started_at < MIN_INTERVAL:
            return None
        self._started_at = self._clock()
        self._loading = asyncio.create_task(self._load())
        return self._loading

    async def _load(self) -> None:
        started = self._clock()
        try:
            keys = await self.read()
        except UNREADABLE as error:
            self._failed = True
            _log.error("jwks_unavailable", source=self._settings.jwks, error=repr(error))
        else:
            self._keys, self._loaded_at, self._failed = keys, started, False
        finally:
            self._loading = None

    async def read(self) -> _Keys:
        """Return the provider's keys as they are now. Raises one of UNREADABLE."""
        return parse(await self._text(), self._settings.algorithms)

    async def _text(self) -> bytes:
        if path := self._settings.jwks_file:
            return await asyncio.to_thread(path.read_bytes)
        if self._session is None:
            raise RuntimeError("the key set has not been entered")
        # No redirects: with them, another host or plain http could determine the provider's keys.
        async with self._session.get(self._settings.jwks, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            text = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                text += chunk
                if len(text) > _MAX_BYTES:
                    raise ValueError(f"more than {_MAX_BYTES} bytes")
            return bytes(text)
