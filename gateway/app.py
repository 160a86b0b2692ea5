"""The composition root: routes, middleware, and everything that lives as long as the process."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog
from aiohttp import web

from gateway.accounts.store import Accounts
from gateway.auth.authenticator import Authenticator
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
from gateway.druid.reuse import Reuse, StoredResponse
from gateway.druid.schema_monitor import RequireSchema, SchemaMonitor
from gateway.druid.single_flight import Coalesce
from gateway.druid.slots import LaneInstruments, Slots
from gateway.druid.stored import Stored
from gateway.druid.tenant_guard import TenantGuard
from gateway.query.schema import compile_schema
from gateway.settings import Settings
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.tracing import is_configured
from gateway.telemetry.worker_metrics import is_worker
from gateway.web.context import SERVICES, Services
from gateway.web.cpu_budget import CpuBudget
from gateway.web.datasets import description_of
from gateway.web.dimension_values import values_of
from gateway.web.health import alive, readiness
from gateway.web.listing import index_of, organizations_of
from gateway.web.metrics import metrics_of
from gateway.web.middleware import outermost
from gateway.web.openapi import document
from gateway.web.pages import routes
from gateway.web.paths import PREFIX, PathAdvice, add_resource, dataset_path
from gateway.web.rate_limit import Limiter, RefusalPacer
from gateway.web.reports import report_on
from gateway.web.request_body import BodyBudget
from gateway.web.response_headers import ResponseHeaders
from gateway.web.stored_answers import AnswerKey, CompleteAnswer, StoredAnswers
from gateway.web.tracing import exported, traced
from gateway.web.worker import Worker

_GAUGES_EVERY = 1.0
"""Seconds between two times at which a worker writes its gauges."""

_log = structlog.get_logger(__name__)


def create_app(settings: Settings, datasets: Iterable[Dataset]) -> web.Application:
    """Return the application for these data sets, not yet started. `gateway.web.server.Runner` runs it."""
    app = web.Application(middlewares=[outermost])
    if is_configured():
        app.middlewares.insert(0, traced)
        app.cleanup_ctx.append(exported)
    datasets = tuple(datasets)
    schemas = [compile_schema(dataset, settings.limits) for dataset in datasets]
    instruments = Instruments()
    app.cleanup_ctx.append(partial(_services, settings, [each.dataset for each in schemas], instruments))
    app.cleanup_ctx.append(partial(_metrics, settings, instruments))
    app.on_shutdown.append(_finish_requests)
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", readiness())
    # aiohttp tries the routes of paths with placeholders in this order.
    for schema in schemas:
        path = dataset_path("{organization_id}", schema.dataset.name)
        report = report_on(schema)
        add_resource(app, path, {"GET": description_of(schema), "POST": report, "QUERY": report})
        add_resource(app, f"{path}/report", {"GET": report})
        add_resource(app, f"{path}/dimensions/{{dimension}}/values", {"GET": values_of(schema)})
    add_resource(app, PREFIX, {"GET": index_of(datasets)})
    add_resource(app, f"{PREFIX}/orgs", {"GET": organizations_of(datasets)})
    add_resource(app, f"{PREFIX}/openapi.json", {"GET": document(schemas)})
    app.router.add_routes(routes(settings))
    return app


async def _finish_requests(app: web.Application) -> None:
    """Give requests in progress some time to finish, then cancel them. New ones are no longer accepted."""
    running, seconds = app[SERVICES].running, app[SERVICES].settings.shutdown_timeout
    if running:
        _log.info("finishing", requests=len(running), seconds=seconds)
        await asyncio.wait(running, timeout=seconds)
    if late := set(running):
        _log.warning("not_finished", requests=len(late))
        for task in late:
            task.cancel()
        await asyncio.wait(late)


async def _services(
    settings: Settings, datasets: Sequence[Dataset], instruments: Instruments, app: web.Application
) -> AsyncIterator[None]:
    """Open what requests use, and close it at the end."""
    responses: Stored[bytes, StoredResponse] = Stored(settings.answer_memory // 4)
    answers: Stored[AnswerKey, CompleteAnswer] = Stored(settings.answer_memory // 16)
    instruments.reuse_bytes.set_function(lambda: responses.size + answers.size)
    budget = MemoryBudget(settings.answer_memory, instruments.answers_bytes, answers, responses)
    async with (
        Worker() as worker,
        Limiter(settings) as limiter,
        Accounts(settings, instruments) as accounts,
        Authenticator(settings.oauth, accounts) as authenticator,
    ):
        await accounts.check_schema()
        async with _druid(settings, datasets, instruments, responses, budget) as druid:
            app[SERVICES] = Services(
                settings=settings,
                instruments=instruments,
                worker=worker,
                limiter=limiter,
                accounts=accounts,
                authenticator=authenticator,
                druid=druid,
                refusal_pacer=RefusalPacer(),
                body_budget=BodyBudget(settings.body_memory),
                cpu_budget=CpuBudget(settings.cpu_seconds_per_minute),
                answers=StoredAnswers(settings.reuse_seconds, answers, budget, instruments.reuse.labels("memory")),
                path_advice=PathAdvice(dataset.name for dataset in datasets),
                response_headers=ResponseHeaders(settings.cors_origins),
            )
            yield


@asynccontextmanager
async def _druid(
    settings: Settings,
    datasets: Sequence[Dataset],
    instruments: Instruments,
    responses: Stored[bytes, StoredResponse],
    budget: MemoryBudget,
) -> AsyncIterator[Druid]:
    """Compose the chain of links between the web layer and Druid, from the last to the first; see druid/chain.py."""
    data_sources = [dataset.data_source for dataset in datasets]
    async with AsyncExitStack() as stack:
        security = settings.druid_security
        brokers = Brokers([Broker(url, security) for url in settings.druid_broker_url], instruments.broker_up)
        await stack.enter_async_context(brokers)
        coordinator = None
        if settings.druid_coordinator_url:
            coordinator = await stack.enter_async_context(Coordinator(settings.druid_coordinator_url, security))
        send = Send(
            max_response_bytes=settings.max_answer_bytes,
            query_seconds=instruments.druid_query_seconds,
            cancellation_seconds=instruments.druid_cancellation_seconds,
        )
        context = AddContext(TenantGuard(send))
        completeness: Completeness
        if settings.completeness == "off" or coordinator is None:
            completeness = CompletenessOff(
                (instruments.coverage_age_seconds, instruments.realtime_age_seconds), context
            )
        else:
            availability = Availability(
                coordinator,
                data_sources,
                period=settings.coverage_period,
                max_age=settings.completeness_max_age,
                age=instruments.coverage_age_seconds,
            )
            realtime = RealtimeMonitor(
                brokers,
                await stack.enter_async_context(availability),
                period=settings.coverage_period,
                max_age=settings.completeness_max_age,
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
        coalesce = Coalesce(budget, instruments.druid_shared, Admit(ordinary, heavy, choose))
        await stack.enter_async_context(coalesce)
        reuse = Reuse(settings.reuse_seconds, responses, budget, instruments.reuse, coalesce)
        monitor = SchemaMonitor(brokers, coordinator, datasets, instruments, period=settings.schema_period)
        schemas = await stack.enter_async_context(monitor)
        yield Druid(RequireSchema(schemas, reuse), brokers, completeness, schemas)


def _lane(instruments: Instruments, lane: str) -> LaneInstruments:
    return LaneInstruments(
        lane, instruments.druid_queries_running, instruments.druid_queries_queued, instruments.druid_wait_seconds
    )


async def _metrics(settings: Settings, instruments: Instruments, _: web.Application) -> AsyncIterator[None]:
    """Serve /metrics on its own port, which customers cannot reach. A worker writes its part for the supervisor."""
    if is_worker():
        writing = asyncio.create_task(_write_gauges(instruments))
        yield
        writing.cancel()
        return
    if settings.metrics_port is None:
        yield
        return
    metrics_app = web.Application()
    metrics_app.router.add_get("/metrics", metrics_of(instruments.registry))
    runner = web.AppRunner(metrics_app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.metrics_port).start()
    yield
    await runner.cleanup()


async def _write_gauges(instruments: Instruments) -> None:
    while True:
        instruments.write_gauges()
        await asyncio.sleep(_GAUGES_EVERY)
