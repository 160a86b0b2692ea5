"""The application: routes, middleware, and what lives as long as the process does."""

from collections.abc import AsyncIterator, Iterable

from aiohttp import web
from yarl import URL

from gateway.access.accounts import Accounts
from gateway.access.authenticate import Authenticator
from gateway.broker import Broker
from gateway.catalog import DATASETS
from gateway.catalog.model import Dataset
from gateway.handlers import (
    ACCOUNTS,
    AUTHENTICATOR,
    BROKER,
    LIMITER,
    SETTINGS,
    alive,
    description_of,
    document,
    ready,
    report_on,
)
from gateway.limiting import Limiter
from gateway.middleware import outermost
from gateway.openapi import PREFIX, openapi
from gateway.query.schema import compile_schema
from gateway.settings import Settings


def create_app(settings: Settings, datasets: Iterable[Dataset] = DATASETS.values()) -> web.Application:
    """Return the gateway, serving these data sets, as an application that has not been started.

    Run it with `handler_cancellation=True`, without which a caller who leaves goes unnoticed.
    """
    app = web.Application(middlewares=[outermost], client_max_size=settings.max_body_bytes)
    app[SETTINGS] = settings
    app.cleanup_ctx.extend([_limiter, _accounts, _broker])
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    schemas = [compile_schema(dataset, settings.limits) for dataset in datasets]
    app.router.add_get(f"{PREFIX}/openapi.json", document(openapi(schemas)))
    for schema in schemas:
        path = f"{PREFIX}/orgs/{{organization_id}}/{schema.dataset.name}"
        app.router.add_post(path, report_on(schema))
        app.router.add_get(path, description_of(schema))
    return app


async def _limiter(app: web.Application) -> AsyncIterator[None]:
    async with Limiter(app[SETTINGS]) as limiter:
        app[LIMITER] = limiter
        yield


async def _accounts(app: web.Application) -> AsyncIterator[None]:
    async with Accounts(app[SETTINGS]) as accounts, Authenticator(app[SETTINGS], accounts) as authenticator:
        await accounts.check_schema()
        app[ACCOUNTS], app[AUTHENTICATOR] = accounts, authenticator
        yield


async def _broker(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    url = URL(str(settings.druid_broker_url))
    async with Broker(
        url, connections=settings.druid_connections, max_answer_bytes=settings.max_answer_bytes
    ) as broker:
        app[BROKER] = broker
        yield
