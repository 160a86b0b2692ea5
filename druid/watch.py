"""Progress and status of a cluster."""

from dataclasses import dataclass
from typing import Protocol

from druid.services import Service


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """`state` is supervisord's (RUNNING, STARTING, BACKOFF, FATAL, STOPPING, …), `uptime` in seconds."""

    service: Service
    port: int
    state: str
    pid: int | None
    uptime: float
    healthy: bool


class Observer(Protocol):
    """Receives the progress of a start or stop."""

    def say(self, what: str) -> None: ...

    def show(self, services: tuple[ServiceStatus, ...]) -> None: ...


class _Silence:
    def say(self, what: str) -> None:
        pass

    def show(self, services: tuple[ServiceStatus, ...]) -> None:
        pass


SILENCE: Observer = _Silence()
