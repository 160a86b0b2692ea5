"""The application: routes, middleware, and what lives as long as the process does."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from functools import partial

import structlog
from aiohttp import web
from yarl import URL

from gateway.accounts.store import Accounts
from gateway.auth.authenticator import Authenticator
from gateway.catalog.model import Dataset
from gateway.druid.admission import Admission
from gateway.druid.api.broker import Broker
from gateway.druid.broker_pool import Brokers
from gateway.druid.completeness.appended_segments import Appended
from gateway.druid.completeness.availability import Coverage
from gateway.druid.completeness.realtime_monitor import Realtime
from gateway.druid.executor import Druid
from gateway.druid.memory_budget import Memory
from gateway.druid.single_flight import Flights
from gateway.query.schema import compile_schema
from gateway.settings import Settings
from gateway.telemetry.tracing import is_configured, traced
from gateway.web.health import alive, ready, shown
from gateway.web.malformed_requests import answer_malformed_requests, expect
from gateway.web.metrics import Metrics
from gateway.web.middleware import METRICS, REFUSALS, RUNNING, outermost
from gateway.web.openapi import PREFIX, openapi
from gateway.web.rate_limit import Limiter, Refusals
from gateway.web.reports import (
    ACCOUNTS,
    AUTHENTICATOR,
    DRUID,
    LIMITER,
    SETTINGS,
    description_of,
    document,
    report_on,
)

log = structlog.get_logger(__name__)


def create_app(settings: Settings, datasets: Iterable[Dataset]) -> web.Application:
    """Return the gateway, serving these data sets, as an application that has not been started.

    Run it with `handler_cancellation=True`, without which a caller who leaves goes unnoticed.
    """
    app = web.Application(middlewares=[outermost], client_max_size=settings.max_body_bytes)
    if is_configured():
        # Only here, for what it brings with it.
        from gateway.telemetry.otlp import exported  # noqa: PLC0415

        app.middlewares.insert(0, traced)
        app.cleanup_ctx.append(exported)
    app[SETTINGS] = settings
    app[METRICS] = Metrics()
    answer_malformed_requests(app[METRICS])
    app[REFUSALS], app[RUNNING] = Refusals(), set()
    app.on_shutdown.append(_finish)
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    schemas = [compile_schema(dataset, settings.limits) for dataset in datasets]
    data_sources = [schema.dataset.data_source for schema in schemas]
    app.cleanup_ctx.extend([_limiter, _accounts, partial(_druid, data_sources), _metrics])
    app.router.add_get(f"{PREFIX}/openapi.json", document(openapi(schemas)))
    for schema in schemas:
        path = f"{PREFIX}/orgs/{{organization_id}}/{schema.dataset.name}"
        app.router.add_post(path, report_on(schema), expect_handler=expect)
        app.router.add_get(path, description_of(schema))
    return app


async def _finish(app: web.Application) -> None:
    """Let running requests finish for a while, then cancel them. No new ones are accepted any more by now."""
    running, seconds = app[RUNNING], app[SETTINGS].shutdown_timeout
    if running:
        log.info("finishing", requests=len(running), seconds=seconds)
        await asyncio.wait(running, timeout=seconds)
    if late := set(running):
        log.warning("not_finished", requests=len(late))
        for task in late:
            task.cancel()
        await asyncio.wait(late)


async def _limiter(app: web.Application) -> AsyncIterator[None]:
    async with Limiter(app[SETTINGS]) as limiter:
        app[LIMITER] = limiter
        yield


async def _accounts(app: web.Application) -> AsyncIterator[None]:
    async with Accounts(app[SETTINGS]) as accounts, Authenticator(app[SETTINGS], accounts) as authenticator:
        await accounts.check_schema()
        app[ACCOUNTS], app[AUTHENTICATOR] = accounts, authenticator
        app[METRICS].accounts = accounts
        yield


async def _druid(data_sources: Iterable[str], app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    brokers = [Broker(URL(str(url)), max_answer_bytes=settings.max_answer_bytes) for url in settings.druid_broker_url]
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(Brokers(brokers))
        coverage = appended = realtime = None
        if settings.druid_coordinator_url is not None:
            coordinator = URL(str(settings.druid_coordinator_url))
            coverage = Coverage(coordinator, data_sources, period=settings.coverage_period)
            await stack.enter_async_context(coverage)
            appended = Appended(coverage)
            realtime = Realtime(opened, coverage, data_sources, period=settings.coverage_period)
            await stack.enter_async_context(realtime)
        druid = Druid(
            opened,
            coverage,
            appended,
            realtime,
            Admission(places=settings.druid_queries, queue=settings.druid_queue),
            Admission(places=settings.druid_heavy_queries, queue=settings.druid_queue),
            Flights(),
            Memory(settings.answer_memory),
        )
        stack.push_async_callback(druid.flights.ended)
        app[DRUID] = druid
        app[METRICS].druid = druid
        yield


async def _metrics(app: web.Application) -> AsyncIterator[None]:
    """Serve /metrics on a port of its own, which customers do not reach."""
    port = app[SETTINGS].metrics_port
    if port is None:
        yield
        return
    metrics = web.Application()
    metrics.router.add_get("/metrics", shown(app[METRICS]))
    runner = web.AppRunner(metrics, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, app[SETTINGS].host, port).start()
    yield
    await runner.cleanup()
