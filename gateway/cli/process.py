"""A process that serves requests: the only one, or one of several workers.

Only `gateway serve` imports it: the other commands, and the supervisor of workers, need no server.
"""

import asyncio
import signal
import socket
from collections.abc import Iterable

import uvloop

from gateway.app import create_app
from gateway.catalog.model import Dataset
from gateway.cli.worker import READY, Place, share_of
from gateway.settings import Settings
from gateway.web.server import serve


def run_alone(settings: Settings, datasets: Iterable[Dataset]) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    application = create_app(settings, datasets)
    uvloop.run(serve(application, settings))


def run_worker(settings: Settings, datasets: Iterable[Dataset], place: Place) -> None:
    """Serve until SIGTERM, or until the supervisor has ended."""
    # A terminal sends it to all processes; the supervisor acts on it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    uvloop.run(_serve(share_of(settings, place), datasets, place))


async def _serve(settings: Settings, datasets: Iterable[Dataset], place: Place) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    with socket.socket(fileno=place.supervisor) as supervisor:
        supervisor.settimeout(0)
        # It becomes readable when the supervisor has ended, for whatever reason.
        loop.add_reader(supervisor, stop.set)
        await serve(
            create_app(settings, datasets),
            settings,
            listeners=[socket.socket(fileno=number) for number in place.listeners],
            stop=stop,
            ready=lambda: supervisor.sendall(READY),
        )
        loop.remove_reader(supervisor)
