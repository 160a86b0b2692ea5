"""Probes for operators: whether the process is alive, and whether it can respond to reports."""

import asyncio
from time import monotonic
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.query.literals import Json
from gateway.web.context import SERVICES, Services
from gateway.web.encoders import json_response

READINESS_SECONDS: Final = 1.0
"""How long the result of the readiness checks is used: anyone can request it, and it costs queries."""


async def alive(_: web.Request) -> web.Response:
    """GET /healthz: the process runs, and its event loop is not blocked."""
    return json_response({"status": "ok"})


def readiness() -> Handler:
    """Return the handler of GET /readyz: 200 if reports can be answered, otherwise 503 with the check that failed."""
    running: asyncio.Task[tuple[bool, Json]] | None = None
    until = 0.0

    async def ready(request: web.Request) -> web.Response:
        nonlocal running, until
        # One run of the checks serves everyone who asks while it runs, and for READINESS_SECONDS from its start.
        if running is None or (running.done() and monotonic() >= until):
            running, until = asyncio.create_task(_check(request.app[SERVICES])), monotonic() + READINESS_SECONDS
        is_ready, body = await asyncio.shield(running)
        response = json_response(body)
        response.set_status(200 if is_ready else 503)
        return response

    return ready


async def _check(services: Services) -> tuple[bool, Json]:
    accounts, druid = await asyncio.gather(services.accounts.is_ready(), services.druid.readiness())
    is_ready = accounts and druid.is_ready and druid.serves_any
    return is_ready, {
        "status": "ready" if is_ready else "not ready",
        "checks": {"accounts": accounts, "druid": druid.is_ready, "data_sets": druid.serves_any},
        "completeness": druid.completeness,
        "unknown_data_sources": list(druid.unknown_data_sources),
        "unavailable_data_sets": {name: list(reasons) for name, reasons in druid.unavailable_data_sets.items()},
    }
