"""What those who run the gateway ask it: whether it lives, whether it can answer, and what it has counted."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.store import Accounts
from gateway.web.metrics import Metrics
from gateway.web.reports import ACCOUNTS, DRUID


async def alive(_: web.Request) -> web.Response:
    """GET /healthz: the process runs and its event loop turns."""
    return web.json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """GET /readyz: whether reports can be answered, 200 or 503, with what is missing."""
    accounts, druid = await asyncio.gather(_has_schema(request.app[ACCOUNTS]), request.app[DRUID].readiness())
    checks = {"accounts": accounts, "druid": druid.is_ready}
    status = 200 if all(checks.values()) else 503
    body = {
        "status": "ready" if status == 200 else "not ready",
        "checks": checks,
        "completeness": druid.completeness,
        "unknown_data_sources": druid.unknown_data_sources,
    }
    return web.json_response(body, status=status)


def shown(metrics: Metrics) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of GET /metrics."""

    async def get(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return get


async def _has_schema(accounts: Accounts) -> bool:
    try:
        await accounts.check_schema()
    except DatabaseNotReady:
        return False
    return True
