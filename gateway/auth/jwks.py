"""The public keys of the OAuth2 provider: fetched, kept, renewed."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from math import inf
from types import MappingProxyType
from typing import Final, Literal

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from jwt import PyJWK, PyJWTError
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.accounts.settings import Algorithm, OAuthSettings
from gateway.errors import AccountsUnavailable

APART: Final = 30.0
"""Seconds between the beginnings of two fetches, failed ones too: callers who invent key ids cause no more."""
FRESH: Final = 300.0
"""Seconds after which keys are fetched anew, so that one the provider withdraws stops counting."""
USABLE: Final = 3600.0
"""Seconds for which keys are used while the provider does not answer."""

_PATIENCE: Final = ClientTimeout(total=5)
_LARGEST: Final = 256 * 1024  # bytes

_SIGNS: Final[Mapping[tuple[str, str | None], AbstractSet[Algorithm]]] = MappingProxyType(
    {
        ("RSA", None): {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
        ("EC", "P-256"): {"ES256"},
        ("EC", "P-384"): {"ES384"},
        ("EC", "P-521"): {"ES512"},
        ("OKP", "Ed25519"): {"EdDSA"},
    }
)

_Keys = Mapping[tuple[str, str], PyJWK]

_log = structlog.stdlib.get_logger(__name__)


def parse(text: bytes, algorithms: AbstractSet[Algorithm]) -> _Keys:
    """The keys of a JWK set (RFC 7517) that may verify one of `algorithms`, by key id and algorithm. Pure.

    Left out, as the RFC asks for what is not understood: keys of other kinds or uses, without an id, too short,
    and private or shared ones, which have no place here. Raises `ValueError` where no key is left.
    """
    document = json.loads(text)
    listed = document.get("keys") if isinstance(document, dict) else None
    keys: dict[tuple[str, str], PyJWK] = {}
    for entry in listed if isinstance(listed, list) else ():
        try:
            jwk = _Jwk.model_validate(entry)
            for algorithm in jwk.verifies() & algorithms:
                key = PyJWK(entry, algorithm)
                if key.Algorithm.check_key_length(key.key) is None:
                    keys.setdefault((jwk.kid, algorithm), key)
        except (ValidationError, PyJWTError):
            continue
    if not keys:
        raise ValueError("no usable key")
    return MappingProxyType(keys)


class _Jwk(BaseModel):
    model_config = ConfigDict(strict=True)

    kid: str
    kty: str
    crv: str | None = None
    alg: str | None = None
    use: Literal["sig"] = "sig"
    key_ops: list[str] = ["verify"]
    d: None = None  # the private part

    def verifies(self) -> AbstractSet[Algorithm]:
        if "verify" not in self.key_ops:
            return frozenset()
        can = _SIGNS.get((self.kty, self.crv), frozenset())
        return can if self.alg is None else {each for each in can if each == self.alg}


class KeySet:
    """The provider's keys as they are now, or were not long ago."""

    def __init__(self, settings: OAuthSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._session: ClientSession | None = None
        self._keys: _Keys = {}
        self._loaded_at = -inf
        self._started_at = -inf
        self._failed = False
        self._loading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Be ready to fetch; the first key that is asked for does it."""
        if self._settings.jwks_file is None:
            self._session = ClientSession(timeout=_PATIENCE)

    async def close(self) -> None:
        """Stop fetching."""
        if self._loading:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def key(self, key_id: str, algorithm: str) -> PyJWK | None:
        """The key with this id for this algorithm, None where the provider has none such.

        Raises `AccountsUnavailable` where the provider's present keys are not known.
        """
        wanted = (key_id, algorithm)
        age = self._clock() - self._loaded_at
        if wanted in self._keys and age < USABLE:
            if age >= FRESH:
                self._load_soon()  # and not waited for: this key is good until it is known to be withdrawn
            return self._keys[wanted]
        if loading := self._load_soon():
            await asyncio.shield(loading)
        if self._clock() - self._loaded_at >= USABLE or (self._failed and wanted not in self._keys):
            raise AccountsUnavailable("Access tokens cannot be checked at the moment. Try again shortly.")
        return self._keys.get(wanted)

    def _load_soon(self) -> asyncio.Task[None] | None:
        if self._loading is not None:
            return self._loading
        if self._clock() - self._started_at < APART:
            return None
        self._started_at = self._clock()
        self._loading = asyncio.create_task(self._load())
        return self._loading

    async def _load(self) -> None:
        begun = self._clock()
        try:
            keys = parse(await self._read(), self._settings.algorithms)
        except (ClientError, OSError, TimeoutError, ValueError, RecursionError) as failure:
            self._failed = True
            _log.error("jwks_unavailable", source=self._settings.jwks, failure=repr(failure))
        else:
            self._keys, self._loaded_at, self._failed = keys, begun, False
        finally:
            self._loading = None

    async def _read(self) -> bytes:
        if path := self._settings.jwks_file:
            return await asyncio.to_thread(path.read_bytes)
        if self._session is None:
            raise RuntimeError("open() comes first")
        # No redirects: they would let another host, or plain http, say which keys are the provider's.
        async with self._session.get(self._settings.jwks, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            text = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                text += chunk
                if len(text) > _LARGEST:
                    raise ValueError(f"more than {_LARGEST} bytes")
            return bytes(text)
