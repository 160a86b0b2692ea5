"""What handlers and middleware share: the application's services, and the facts about one request."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Any

from aiohttp import web

from gateway.accounts.store import Accounts
from gateway.auth.authenticator import Authenticator
from gateway.druid.executor import Druid
from gateway.druid.memory_budget import MemoryLease
from gateway.settings import Settings
from gateway.telemetry.instruments import NO_DATA_SET, Instruments
from gateway.web.cpu_budget import CpuBudget
from gateway.web.paths import PathAdvice
from gateway.web.rate_limit import Limiter, Quota, RefusalPacer
from gateway.web.request_body import BodyBudget
from gateway.web.response_headers import ResponseHeaders
from gateway.web.stored_answers import StoredAnswers
from gateway.web.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What requests use and what lives as long as the process."""

    settings: Settings
    instruments: Instruments
    worker: Worker
    limiter: Limiter
    accounts: Accounts
    authenticator: Authenticator
    druid: Druid
    refusal_pacer: RefusalPacer
    body_budget: BodyBudget
    cpu_budget: CpuBudget
    answers: StoredAnswers
    path_advice: PathAdvice
    response_headers: ResponseHeaders
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the process ends: each connection is closed after its current response."""
    running: set[asyncio.Task[Any]] = field(default_factory=set)
    """The tasks of the requests in progress."""


SERVICES = web.AppKey("services", Services)


class RequestTimer:
    """Measures one request: the time since it began, and the part spent waiting for the caller's body or for Druid."""

    __slots__ = ("_started", "_waited")

    def __init__(self) -> None:
        self._started = perf_counter()
        self._waited = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the request began."""
        return perf_counter() - self._started

    @property
    def own(self) -> float:
        """Seconds that the gateway itself spent on the request."""
        return self.elapsed - self._waited

    def add_wait(self, seconds: float) -> None:
        """Count time during which the gateway waited for the caller or for Druid."""
        self._waited += seconds

    def waiting(self) -> "_Waiting":
        """Return a context manager that counts the time of its body as waiting."""
        return _Waiting(self)


class _Waiting:
    __slots__ = ("_began", "_timer")

    def __init__(self, timer: RequestTimer) -> None:
        self._timer = timer

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.add_wait(perf_counter() - self._began)


@dataclass(slots=True)
class RequestContext:
    """The facts about one request. The middleware creates it; handlers add what they find out."""

    services: Services
    request_id: str = field(default_factory=lambda: os.urandom(16).hex())
    timer: RequestTimer = field(default_factory=RequestTimer)
    data_set: str = NO_DATA_SET
    organization_id: str | None = None
    """The caller's organization, once the caller is authenticated."""
    quota: Quota | None = None
    """What is left of the organization's rate limit, once it is known."""
    cpu_seconds: float = 0.0
    """CPU time spent on the request so far."""
    headers: Sequence[tuple[str, str]] = ()
    """Headers of every response of the data set."""
    log_fields: dict[str, Any] = field(default_factory=dict)
    """What the request's log line says beside the fields that all its lines have."""
    leases: list[MemoryLease] = field(default_factory=list)
    """Memory of rows and of the body, released once the response has been sent or the request has failed."""


CONTEXT: web.RequestKey[RequestContext] = web.RequestKey("context", RequestContext)
