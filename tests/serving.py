"""The real gateway on a free port, with a new account store, for tests over a socket."""

import http.client
import json
import secrets
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from anyio.from_thread import start_blocking_portal
from pydantic import SecretStr

from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts
from gateway.app import create_app
from gateway.catalog.model import Dataset
from gateway.settings import Settings
from gateway.web.server import Runner
from tests.datasets import CHAT_SESSIONS

D = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"
"""The documented organization, and the default caller."""
P = "c7d0f6a4-1c5e-11e5-9f3c-6c4008adf7e8"
"""D's partner: D may request its data, but not vice versa."""
T = "5d0c7a1e-7f0b-4b1e-8a55-0d9c5f0e2a11"
"""A third organization without a relation to the others."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. Header names are in lower case, `data` are the rows of a report."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> list[list[Any]]:
        assert self.status == 200, self.body
        rows: list[list[Any]] = self.json["data"]
        return rows


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway. `tokens` has a token of each organization, with permission for reports."""

    url: str
    tokens: Mapping[str, str]
    settings: Settings
    app: web.Application

    def path(self, organization: str = D, dataset: str = CHAT_SESSIONS.name) -> str:
        return f"/api/reporting/v1/orgs/{organization}/{dataset}"

    def post(
        self,
        body: object,
        *,
        organization: str = D,
        caller: str | None = None,
        token: str | None = None,
        dataset: str = CHAT_SESSIONS.name,
        accept: str = "*/*",
    ) -> Answer:
        """Request a report with the token of `caller`, an organization. Must not be called in the gateway's thread."""
        headers = {"Authorization": f"Token {token or self.tokens[caller or organization]}", "Accept": accept}
        return self._request("POST", self.path(organization, dataset), json.dumps(body), headers)

    def get(self, path: str, *, caller: str = D) -> Answer:
        """Request a link with the token of `caller`. Must not be called in the gateway's thread."""
        return self._request("GET", path, None, {"Authorization": f"Token {self.tokens[caller]}"})

    def _request(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=120)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


def settings_for(folder: Path, broker_url: str, **changes: Any) -> Settings:
    """Return settings with an account store in `folder`. `changes` are fields of Settings."""
    given: dict[str, Any] = {
        "database_url": SecretStr(f"sqlite:///{folder}/accounts.db"),
        "token_secret": SecretStr(secrets.token_hex(32)),
        "druid_broker_url": broker_url,
        "port": 0,
        "completeness": "on" if "druid_coordinator_url" in changes else "off",
    }
    return Settings(**{**given, **changes})


async def make_accounts(settings: AccountSettings, organizations: Iterable[str]) -> dict[str, str]:
    """Create tables, organizations with a user and a token each, and D's partnership with P. Return the tokens."""
    tokens = {}
    async with Accounts(settings) as accounts:
        await accounts.migrate()
        async with accounts.administration() as administration:
            for organization in organizations:
                await administration.organizations.create(f"Organization {organization[:8]}", organization)
                user = await administration.users.create(f"user@{organization}.test", organization, {"reports"})
                tokens[organization] = (await administration.tokens.create(user.id, "tests")).text
            if {D, P} <= tokens.keys():
                await administration.partnerships.create(D, P)
    return tokens


@asynccontextmanager
async def listening(
    app: web.Application, *, ssl_context: ssl.SSLContext | None = None, **how: Any
) -> AsyncIterator[str]:
    """Serve an application on a free loopback port, in this event loop, and return its URL."""
    runner = web.AppRunner(app, access_log=None, **{"shutdown_timeout": 0.01, **how})
    async with _running(runner, ssl_context) as url:
        yield url


@asynccontextmanager
async def _running(runner: web.AppRunner, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context).start()
        yield f"http{'' if ssl_context is None else 's'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(
    settings: Settings, *, organizations: Iterable[str] = (D, P, T), datasets: Iterable[Dataset] = (CHAT_SESSIONS,)
) -> AsyncIterator[Gateway]:
    """Run the gateway in this event loop, as the command line would."""
    tokens = await make_accounts(settings, organizations)
    app = create_app(settings, datasets)
    async with _running(Runner(app, settings)) as url:
        yield Gateway(url, tokens, settings, app)


@contextmanager
def serving_aside(
    settings: Settings, *, organizations: Iterable[str] = (D, P, T), datasets: Iterable[Dataset] = (CHAT_SESSIONS,)
) -> Iterator[Gateway]:
    """Run the gateway in a separate thread and event loop, so that synchronous and async tests can use it."""
    with (
        start_blocking_portal(backend_options={"use_uvloop": True}) as portal,
        portal.wrap_async_context_manager(serving(settings, organizations=organizations, datasets=datasets)) as gateway,
    ):
        yield gateway
