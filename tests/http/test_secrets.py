"""A marker password in every URL and secret setting: while everything fails, no log, response or metric shows it.

To cover another failure, add an upstream to `UPSTREAMS` or a setting to `_secret_settings`.
tests/unit/cli/test_wrong_inputs.py does the same for the command line.
"""

import base64
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts
from tests import postgresql
from tests.http.conftest import Process, StartProcess
from tests.serving import listening

USER, MARKER = "operator", "marker-password-4711"
HIDDEN = (MARKER, base64.b64encode(f"{USER}:{MARKER}".encode()).decode())

Upstream = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _garbage(_request: web.Request) -> web.Response:
    return web.Response(text="<html>")


async def _disconnects(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _rejects(_request: web.Request) -> web.Response:
    return web.Response(status=401, text="<html>", headers={"WWW-Authenticate": 'Basic realm="druid"'})


UPSTREAMS: dict[str, Upstream] = {"garbage": _garbage, "disconnects": _disconnects, "rejects": _rejects}


def _secret_settings(port: int) -> dict[str, Any]:
    """Every setting with a URL or a secret, for an upstream on this port."""
    return {
        "druid_broker_url": f"http://{USER}:{MARKER}@127.0.0.1:{port}",
        "druid_coordinator_url": f"http://127.0.0.1:{port}",
        "druid_username": USER,
        "druid_password": MARKER,
        "limits_url": f"redis://{USER}:{MARKER}@127.0.0.1:{port}",
        "coverage_period": 0.2,
        "request_timeout": 5,
    }


async def _shown(process: Process, metrics_port: int) -> str:
    """Send every kind of request; return all that the gateway has answered and logged."""
    texts = []
    for _ in range(3):
        answers = [await process.client.post(), await process.client.send("GET", "/readyz")]
        assert all(answer.status >= 400 for answer in answers)
        texts += [f"{answer.headers} {answer.body!r}" for answer in answers]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{metrics_port}/metrics") as response:
        texts.append(await response.text())
    return "\n".join([*texts, process.log.read_text()])


def _assert_nothing_is_shown(text: str, *more: str) -> None:
    for hidden in (*HIDDEN, *more):
        assert hidden not in text, [line for line in text.splitlines() if hidden in line][:3]


@pytest.mark.parametrize("name", ["unreachable", *UPSTREAMS])
async def test_no_secret_is_shown_while_druid_and_redis_fail(start_process: StartProcess, name: str) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", UPSTREAMS.get(name, _garbage))
    async with listening(app) as url:
        port = _closed_port() if name == "unreachable" else int(url.rsplit(":", 1)[1])
        metrics_port = _closed_port()
        settings = _secret_settings(port)
        async with start_process(settings["druid_broker_url"], **settings, metrics_port=metrics_port) as process:
            secret = process.client.gateway.settings.token_secret.get_secret_value()
            _assert_nothing_is_shown(await _shown(process, metrics_port), secret)


async def test_no_secret_is_shown_while_the_account_database_fails(start_process: StartProcess) -> None:
    metrics_port = _closed_port()
    with postgresql.running() as server:
        url = server.url("postgres")
        password = url.split(":")[2].split("@")[0]
        settings = AccountSettings(database_url=SecretStr(url), token_secret=SecretStr("s" * 32))
        async with Accounts(settings) as accounts:
            await accounts.migrate()
        broker = f"http://{USER}:{MARKER}@127.0.0.1:{_closed_port()}"
        async with start_process(broker, database_url=url, metrics_port=metrics_port) as process:
            server.stop()
            shown = await _shown(process, metrics_port)
    assert "accounts_unavailable" in shown
    _assert_nothing_is_shown(shown, password)
