"""`gateway serve` with an additional port that shows its resources.

    OBSERVED_PORT=… python -m tests.faults.observed serve

Nothing else is different, so that what is seen of it is true of the gateway.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from unittest.mock import patch

from aiohttp import web

from gateway import cli
from gateway.app import create_app
from gateway.catalog.model import Dataset
from gateway.cli import process
from gateway.druid.single_flight import Coalesce
from gateway.settings import Settings
from gateway.web.context import SERVICES
from tests.links import link, slots


@dataclass(frozen=True, slots=True)
class Held:
    """The current asyncio tasks by their coroutine, and the connections to the brokers."""

    tasks: dict[str, int]
    flights: int
    running: int
    queued: int
    cancellations: int
    connections: int
    idle_connections: int

    def is_idle(self) -> bool:
        """Return whether no report is running, and no resource of one is in use."""
        return not any((self.flights, self.running, self.queued, self.cancellations, self.connections))


def _held(app: web.Application) -> Held:
    brokers = app[SERVICES].druid.brokers
    lanes = slots(app)
    connections = [broker.connections for broker in brokers]
    return Held(
        tasks=dict(Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())),
        flights=link(app, Coalesce).in_flight,
        running=sum(each.running for each in lanes),
        queued=sum(each.queued for each in lanes),
        cancellations=sum(each.cancelling for each in lanes),
        connections=sum(in_use for in_use, _ in connections),
        idle_connections=sum(idle for _, idle in connections),
    )


async def _shown(app: web.Application) -> AsyncIterator[None]:
    async def get(_: web.Request) -> web.Response:
        return web.json_response(asdict(_held(app)))

    shown = web.Application()
    shown.router.add_get("/", get)
    runner = web.AppRunner(shown, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["OBSERVED_PORT"])).start()
    yield
    await runner.cleanup()


def _observed(settings: Settings, datasets: Iterable[Dataset]) -> web.Application:
    app = create_app(settings, datasets)
    app.cleanup_ctx.append(_shown)
    return app


if __name__ == "__main__":
    with patch.object(process, "create_app", _observed):
        cli.main()
