"""`gateway serve --workers N`: several processes that accept connections from one listening socket.

Each worker is a new Python process with the same command line, so that a restart reads settings, data sets and code
again. The supervisor opens the socket, replaces workers that end, and restarts them one by one on SIGHUP.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from gateway.cli.worker import READY, Place
from gateway.settings import Settings
from gateway.telemetry.worker_metrics import METRICS_FOLDER, WorkerMetrics

_BACKLOG: Final = 1024
_START_SECONDS: Final = 120.0
"""A worker that is not ready after this time has failed."""
_EXIT_SECONDS: Final = 5.0
"""The time for a worker that has closed its connection, because it failed, to exit."""
_STABLE_SECONDS: Final = 10.0
"""A worker that ends earlier is replaced after a pause."""
_LONGEST_PAUSE: Final = 30.0
_EXTRA_SECONDS: Final = 10.0
"""A worker that ends this much later than GATEWAY_SHUTDOWN_TIMEOUT is killed."""

_log = structlog.get_logger(__name__)


class WorkersFailed(Exception):
    """The workers cannot start. `code` is the exit code of the first that ended."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True, eq=False)
class _Worker:
    """A process. While `connection` is open, the worker knows that the supervisor runs."""

    number: int
    process: asyncio.subprocess.Process
    connection: socket.socket
    started: float = field(default_factory=time.monotonic)

    async def is_ready(self) -> bool:
        """Wait until the process accepts connections; return false if it has ended before, or takes too long."""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(_START_SECONDS):
                return await asyncio.get_running_loop().sock_recv(self.connection, 1) == READY
        return False

    async def stop(self, seconds: float) -> None:
        """Let the process finish its requests, and wait for its end; kill it if that takes longer."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        if not await self.has_ended(seconds):
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def has_ended(self, seconds: float) -> bool:
        """Wait at most so long for the end of the process."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), seconds)
        return self.process.returncode is not None


def supervise(settings: Settings, workers: int) -> None:
    """Run workers until SIGTERM or SIGINT. Raises WorkersFailed, or OSError if the address is not free."""
    with ExitStack() as stack:
        listeners = _listeners(settings.host, settings.port)
        for listener in listeners:
            stack.enter_context(listener)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-metrics-"))
        metrics = WorkerMetrics(folder)
        if settings.metrics_port is not None:
            stack.enter_context(metrics.served(settings.host, settings.metrics_port))
        asyncio.run(_Supervisor(settings, workers, listeners, metrics).run())


def _listeners(host: str, port: int) -> Sequence[socket.socket]:
    """Open a socket for each address of the host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners = []
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        listeners.append(listener)
    return listeners


class _Supervisor:
    def __init__(
        self, settings: Settings, workers: int, listeners: Sequence[socket.socket], metrics: WorkerMetrics
    ) -> None:
        self._stop_seconds = settings.shutdown_timeout + _EXTRA_SECONDS
        self._numbers = range(1, workers + 1)
        self._listeners = listeners
        self._metrics = metrics
        # The workers that are to run, by their numbers; and all that do, including those that end.
        self._current: dict[int, _Worker] = {}
        self._running: set[_Worker] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._restart = asyncio.Event()
        self._failures = 0

    async def run(self) -> None:
        """Run until a signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._restart.set)
        stopping = asyncio.create_task(self._stop.wait())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
        finally:
            self._stop.set()
            working.cancel()
            await self._end()

    async def _work(self) -> None:
        """Start all workers, then restart them whenever it is requested. Raises WorkersFailed if one does not start."""
        first = [await self._start(number) for number in self._numbers]
        for worker in first:
            if not await worker.is_ready():
                # `run` stops it if it still runs, and the others.
                has_ended = await worker.has_ended(_EXIT_SECONDS)
                raise WorkersFailed((has_ended and worker.process.returncode) or 1)
        for worker in first:
            self._use(worker)
        host, port, *_ = self._listeners[0].getsockname()
        _log.info("workers_ready", workers=len(first), host=host, port=port)
        while True:
            await self._restart.wait()
            self._restart.clear()
            await self._restart_each()

    async def _restart_each(self) -> None:
        for number in self._numbers:
            new = await self._start(number)
            if not await new.is_ready():
                # The others go on with the settings and the code that they have.
                _log.error("workers_not_restarted", worker=number)
                await new.stop(self._stop_seconds)
                self._forget(new)
                return
            old = self._current[number]
            self._use(new)
            await old.stop(self._stop_seconds)
        _log.info("workers_restarted", workers=len(self._numbers))

    async def _start(self, number: int) -> _Worker:
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        with theirs:
            listeners = tuple(listener.fileno() for listener in self._listeners)
            place = Place(number, len(self._numbers), theirs.fileno(), listeners)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "serve", "--worker", str(place)),
                pass_fds=(theirs.fileno(), *listeners),
                env={**os.environ, METRICS_FOLDER: self._metrics.folder},
            )
        worker = _Worker(number, process, ours)
        self._running.add(worker)
        self._metrics.add(process.pid)
        return worker

    def _use(self, worker: _Worker) -> None:
        self._current[worker.number] = worker
        watch = asyncio.create_task(self._replace_when_ended(worker))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _replace_when_ended(self, worker: _Worker) -> None:
        code = await worker.process.wait()
        self._forget(worker)
        if self._current[worker.number] is not worker or self._stop.is_set():
            return
        is_stable = time.monotonic() - worker.started > _STABLE_SECONDS
        self._failures = 0 if is_stable else self._failures + 1
        pause = min(2.0**self._failures - 1, _LONGEST_PAUSE)
        _log.error("worker_ended", worker=worker.number, code=code, pause_seconds=pause)
        await asyncio.sleep(pause)
        if self._current[worker.number] is worker and not self._stop.is_set():
            self._use(await self._start(worker.number))

    def _forget(self, worker: _Worker) -> None:
        worker.connection.close()
        self._running.discard(worker)
        self._metrics.remove(worker.process.pid)

    async def _end(self) -> None:
        """Stop all workers at the same time."""
        running = [*self._running]
        await asyncio.gather(*(worker.stop(self._stop_seconds) for worker in running))
        for worker in running:
            self._forget(worker)
        for watch in self._watches:
            watch.cancel()
