"""What a start, a stop or a status shows of the cluster."""

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
    """Is told what a start or stop is about at the moment."""

    def say(self, what: str) -> None: ...

    def show(self, services: tuple[ServiceStatus, ...]) -> None: ...


class _Silence:
    def say(self, what: str) -> None:
        pass

    def show(self, services: tuple[ServiceStatus, ...]) -> None:
        pass


SILENCE: Observer = _Silence()
