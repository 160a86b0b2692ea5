"""The composition root: routes, middleware, and everything that lives as long as the process."""

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
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.tracing import is_configured
from gateway.web.context import (
    ACCOUNTS,
    AUTHENTICATOR,
    BODY_BUDGET,
    CPU_BUDGET,
    DRUID,
    INSTRUMENTS,
    LIMITER,
    REFUSAL_PACER,
    RUNNING,
    SETTINGS,
    WORKER,
)
from gateway.web.cpu_budget import CpuBudget
from gateway.web.datasets import description_of
from gateway.web.health import alive, readiness
from gateway.web.metrics import metrics
from gateway.web.middleware import outermost
from gateway.web.openapi import PREFIX, document
from gateway.web.rate_limit import Limiter, RefusalPacer
from gateway.web.reports import report_on
from gateway.web.request_body import BodyBudget
from gateway.web.tracing import exported, traced
from gateway.web.worker import Worker

_log = structlog.get_logger(__name__)


def create_app(settings: Settings, datasets: Iterable[Dataset]) -> web.Application:
    """Return the application for these data sets, not yet started. `gateway.web.server.Runner` runs it."""
    app = web.Application(middlewares=[outermost])
    if is_configured():
        app.middlewares.insert(0, traced)
        app.cleanup_ctx.append(exported)
    app[SETTINGS] = settings
    app[INSTRUMENTS] = Instruments()
    app[RUNNING] = set()
    app[REFUSAL_PACER] = RefusalPacer()
    app[BODY_BUDGET] = BodyBudget(settings.body_memory)
    app[CPU_BUDGET] = CpuBudget(settings.cpu_seconds_per_minute)
    app.on_shutdown.append(_finish_requests)
    schemas = [compile_schema(dataset, settings.limits) for dataset in datasets]
    data_sources = [schema.dataset.data_source for schema in schemas]
    app.cleanup_ctx.extend([_worker, _limiter, _accounts, partial(_druid, data_sources), _metrics])
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", readiness())
    app.router.add_get(f"{PREFIX}/openapi.json", document(schemas))
    for schema in schemas:
        path = f"{PREFIX}/orgs/{{organization_id}}/{schema.dataset.name}"
        app.router.add_post(path, report_on(schema))
        app.router.add_get(path, description_of(schema))
    return app


async def _finish_requests(app: web.Application) -> None:
    """Give requests in progress some time to finish, then cancel them. New ones are no longer accepted."""
    running, seconds = app[RUNNING], app[SETTINGS].shutdown_timeout
    if running:
        _log.info("finishing", requests=len(running), seconds=seconds)
        await asyncio.wait(running, timeout=seconds)
    if late := set(running):
        _log.warning("not_finished", requests=len(late))
        for task in late:
            task.cancel()
        await asyncio.wait(late)


async def _worker(app: web.Application) -> AsyncIterator[None]:
    async with Worker() as worker:
        app[WORKER] = worker
        yield


async def _limiter(app: web.Application) -> AsyncIterator[None]:
    async with Limiter(app[SETTINGS]) as limiter:
        app[LIMITER] = limiter
        yield


async def _accounts(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    async with (
        Accounts(settings, app[INSTRUMENTS]) as accounts,
        Authenticator(settings.oauth, accounts) as authenticator,
    ):
        await accounts.check_schema()
        app[ACCOUNTS], app[AUTHENTICATOR] = accounts, authenticator
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
        yield


async def _metrics(app: web.Application) -> AsyncIterator[None]:
    """Serve /metrics on its own port, which customers cannot reach."""
    port = app[SETTINGS].metrics_port
    if port is None:
        yield
        return
    metrics_app = web.Application()
    metrics_app[INSTRUMENTS] = app[INSTRUMENTS]
    metrics_app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(metrics_app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, app[SETTINGS].host, port).start()
    yield
    await runner.cleanup()
