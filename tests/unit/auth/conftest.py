"""Fixtures of the tests of authentication."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.unit.auth.oauth2_provider import Provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_get("/keys", provider.serve)
    async with TestServer(app) as server:
        provider.url = str(server.make_url("/keys"))
        yield provider
