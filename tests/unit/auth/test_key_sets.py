"""The keys of an OAuth2 provider: when they are fetched, how long they are used, and which settings are allowed."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import ValidationError

from gateway.auth import jwks
from gateway.auth.jwks import KeySet
from gateway.auth.settings import Algorithm
from gateway.errors import AccountsUnavailable
from tests.unit.auth.oauth2_provider import OTHER_RSA, RSA, Provider, oauth_settings, public


class Hours:
    """A clock that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def keys(provider: Provider) -> AsyncIterator[tuple[KeySet, Hours]]:
    clock = Hours()
    async with KeySet(oauth_settings(provider.url), clock=clock) as keys:
        yield keys, clock


async def _settled(keys: KeySet) -> None:
    if keys._loading:
        await keys._loading


async def test_a_new_key_is_accepted_after_at_most_thirty_seconds(
    keys: tuple[KeySet, Hours], provider: Provider
) -> None:
    key_set, clock = keys
    assert await key_set.key("new", "RS256") is None
    provider.keys = [public(OTHER_RSA, "new")]
    clock.now += jwks.MIN_INTERVAL - 0.1
    assert await key_set.key("new", "RS256") is None
    assert provider.asked == 1
    clock.now += 0.1
    assert await key_set.key("new", "RS256") is not None
    assert provider.asked == 2


async def test_a_withdrawn_key_is_rejected_after_the_next_fetch(keys: tuple[KeySet, Hours], provider: Provider) -> None:
    key_set, clock = keys
    assert await key_set.key("rsa", "RS256") is not None
    provider.keys = [public(OTHER_RSA, "new")]
    clock.now += jwks.FRESH
    assert await key_set.key("rsa", "RS256") is not None  # the refresh is not awaited
    await _settled(key_set)
    assert await key_set.key("rsa", "RS256") is None
    assert provider.asked == 2


async def test_cached_keys_are_used_for_an_hour_while_the_provider_is_down(
    keys: tuple[KeySet, Hours], provider: Provider
) -> None:
    key_set, clock = keys
    assert await key_set.key("rsa", "RS256") is not None
    provider.answer = lambda: web.Response(status=500)
    for _ in range(11):
        clock.now += jwks.FRESH
        assert await key_set.key("rsa", "RS256") is not None
        await _settled(key_set)
    clock.now += jwks.FRESH
    with pytest.raises(AccountsUnavailable):
        await key_set.key("rsa", "RS256")
    provider.answer = None
    clock.now += jwks.MIN_INTERVAL
    assert await key_set.key("rsa", "RS256") is not None


async def test_an_unusable_key_is_ignored(keys: tuple[KeySet, Hours], provider: Provider) -> None:
    unusable = [{"kty": "RSA", "kid": "bad", "n": "!", "e": "!"}, {"kty": "OKP", "crv": "X25519", "kid": "y"}]
    provider.keys = [*unusable, *provider.keys]
    assert await keys[0].key("rsa", "RS256") is not None
    assert await keys[0].key("bad", "RS256") is None


async def test_a_cancelled_caller_does_not_cancel_the_fetch_of_the_others(
    keys: tuple[KeySet, Hours], provider: Provider
) -> None:
    provider.delay = 0.1
    first, second = (asyncio.create_task(keys[0].key("rsa", "RS256")) for _ in range(2))
    await asyncio.sleep(0.02)
    first.cancel()
    assert await second is not None
    assert provider.asked == 1


async def test_keys_can_come_from_a_file_that_is_read_again(tmp_path: Path) -> None:
    file, clock = tmp_path / "keys.json", Hours()
    file.write_text('{"keys": []}')
    async with KeySet(oauth_settings(str(file)), clock=clock) as keys:
        with pytest.raises(AccountsUnavailable):
            await keys.key("rsa", "RS256")
        file.write_text(json.dumps({"keys": [public(RSA, "rsa")]}))
        clock.now += jwks.MIN_INTERVAL
        assert await keys.key("rsa", "RS256") is not None


@pytest.mark.parametrize("algorithm", ["HS256", "none", "RS1", ""])
def test_only_asymmetric_algorithms_can_be_configured(algorithm: Algorithm) -> None:
    with pytest.raises(ValidationError):
        oauth_settings("https://login.example.com/keys", algorithms={algorithm})
    with pytest.raises(ValidationError):
        oauth_settings("https://login.example.com/keys", algorithms=set())


@pytest.mark.parametrize(
    "source", ["http://login.example.com/keys", "ftp://login.example.com/keys", "https://u:p@login.example.com/"]
)
def test_an_insecure_key_url_is_rejected(source: str) -> None:
    with pytest.raises(ValidationError):
        oauth_settings(source)


def test_a_key_file_must_be_readable(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(ValidationError, match="cannot read the file"):
            oauth_settings(str(path))
