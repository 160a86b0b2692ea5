"""One `/metrics` for several processes, by prometheus_client's multi-process mode.

Each worker writes its instruments into files of a folder. The supervisor sums them up, also those of workers that have
ended, so that no counter decreases.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that turns the mode on. It must be set before prometheus_client is imported."""


def is_worker() -> bool:
    """Whether this process's metrics are those of a worker."""
    return METRICS_FOLDER in os.environ


class WorkerMetrics(Collector):
    """The metrics of all workers in one registry, and the sums of what their processes use."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._processes: dict[int, ProcessCollector] = {}
        self._registry = CollectorRegistry()
        MultiProcessCollector(self._registry, path=folder)  # type: ignore[no-untyped-call]
        self._registry.register(self)

    def add(self, pid: int) -> None:
        """Include a process."""
        self._processes[pid] = ProcessCollector(pid=lambda: pid, registry=None)

    def remove(self, pid: int) -> None:
        """Exclude a process that has ended. Its counters stay."""
        if self._processes.pop(pid, None) is not None:
            mark_process_dead(pid, path=self.folder)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        """Return the sums over the processes; of start times and limits, the least."""
        families: dict[str, Metric] = {}
        for collector in [*self._processes.values()]:
            for family in collector.collect():
                known = families.setdefault(family.name, family)
                if known is family:
                    continue
                [before], [more] = known.samples, family.samples
                combine = min if family.name in ("process_start_time_seconds", "process_max_fds") else _sum
                known.samples[0] = before._replace(value=combine(before.value, more.value))
        return families.values()

    @contextmanager
    def served(self, host: str, port: int) -> Iterator[None]:
        """Serve them to Prometheus."""
        server, thread = start_http_server(port, host, self._registry)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _sum(one: float, other: float) -> float:
    return one + other
