"""`gateway serve`, with one more port on which it shows what it holds.

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
from gateway.settings import Settings
from gateway.web.reports import DRUID


@dataclass(frozen=True, slots=True)
class Held:
    """What is there at a moment: asyncio's tasks by what they run, and connections to the brokers."""

    tasks: dict[str, int]
    flights: int
    running: int
    queued: int
    cancellations: int
    connections: int
    idle_connections: int

    def is_idle(self) -> bool:
        """Whether no report is under way, nor anything left of one."""
        return not any((self.flights, self.running, self.queued, self.cancellations, self.connections))


def _held(app: web.Application) -> Held:
    druid = app[DRUID]
    brokers = druid.brokers._brokers
    places = (druid.places, druid.heavy_places)
    connectors = [broker._session._connector for broker in brokers]
    return Held(
        tasks=dict(Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())),
        flights=len(druid.flights._flights),
        running=sum(each.running for each in places),
        queued=sum(each.queued for each in places),
        cancellations=sum(len(broker._cancellations) for broker in brokers),
        connections=sum(len(each._acquired) for each in connectors if each is not None),
        idle_connections=sum(len(idle) for each in connectors if each is not None for idle in each._conns.values()),
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
    with patch.object(cli, "create_app", _observed):
        cli.main()
