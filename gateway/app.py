"""The application: routes, middleware, and what lives as long as the process does."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from functools import partial

import structlog
from aiohttp import web

from gateway.accounts.store import Accounts
from gateway.auth.authenticator import Authenticator
from gateway.catalog import DATASETS
from gateway.catalog.model import Dataset
from gateway.druid.admission import Admit
from gateway.druid.api.broker import Broker
from gateway.druid.api.coordinator import Coordinator
from gateway.druid.api.send import Send
from gateway.druid.broker_pool import Brokers, ChooseBroker
from gateway.druid.completeness import Completeness
from gateway.druid.completeness.availability import Availability
from gateway.druid.completeness.check import CompletenessCheck
from gateway.druid.completeness.off import CompletenessOff
from gateway.druid.completeness.realtime_monitor import RealtimeMonitor
from gateway.druid.executor import Druid
from gateway.druid.memory_budget import MemoryBudget
from gateway.druid.query_context import AddContext
from gateway.druid.single_flight import Coalesce
from gateway.druid.slots import LaneInstruments, Slots
from gateway.druid.tenant_guard import TenantGuard
from gateway.query.schema import compile_schema
from gateway.settings import Settings
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.tracing import is_configured, traced
from gateway.web.health import alive, ready, shown
from gateway.web.malformed_requests import answer_malformed_requests, expect
from gateway.web.metrics import INSTRUMENTS, Metrics
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


def create_app(settings: Settings, datasets: Iterable[Dataset] = DATASETS.values()) -> web.Application:
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
    app[INSTRUMENTS] = Instruments()
    app[METRICS] = Metrics(app[INSTRUMENTS])
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
    """Compose the chain of links between the web layer and Druid, from the last to the first; see druid/chain.py."""
    settings, instruments = app[SETTINGS], app[INSTRUMENTS]
    async with AsyncExitStack() as stack:
        brokers = Brokers([Broker(url) for url in settings.druid_broker_url], instruments.broker_up)
        await stack.enter_async_context(brokers)
        send = Send(
            max_response_bytes=settings.max_answer_bytes,
            query_seconds=instruments.druid_query_seconds,
            cancellation_seconds=instruments.druid_cancellation_seconds,
        )
        context = AddContext(TenantGuard(send))
        completeness: Completeness
        if settings.completeness == "off":
            completeness = CompletenessOff(
                (instruments.coverage_age_seconds, instruments.realtime_age_seconds), context
            )
        else:
            availability = Availability(
                await stack.enter_async_context(Coordinator(settings.druid_coordinator_url)),
                data_sources,
                period=settings.coverage_period,
                max_age=settings.completeness_max_age,
                age=instruments.coverage_age_seconds,
            )
            realtime = RealtimeMonitor(
                brokers,
                await stack.enter_async_context(availability),
                data_sources,
                period=settings.coverage_period,
                age=instruments.realtime_age_seconds,
            )
            completeness = CompletenessCheck(availability, await stack.enter_async_context(realtime), context)
        choose = ChooseBroker(brokers, completeness)
        ordinary, heavy = (
            Slots(slots=slots, queue=settings.druid_queue, instruments=_lane(instruments, lane))
            for lane, slots in (("ordinary", settings.druid_queries), ("heavy", settings.druid_heavy_queries))
        )
        for slots in (ordinary, heavy):
            await stack.enter_async_context(slots)
        budget = MemoryBudget(settings.answer_memory, instruments.answers_bytes)
        coalesce = Coalesce(budget, instruments.druid_shared, Admit(ordinary, heavy, choose))
        app[DRUID] = Druid(await stack.enter_async_context(coalesce), brokers, completeness)
        yield


def _lane(instruments: Instruments, lane: str) -> LaneInstruments:
    return LaneInstruments(
        lane, instruments.druid_queries_running, instruments.druid_queries_queued, instruments.druid_wait_seconds
    )


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
