"""Every Prometheus instrument of the gateway, created once and injected into the code that counts.

No label ever contains text that a caller chose, so the number of series is bounded. docs/operations.md says what to
alert on.
"""

import asyncio
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from types import TracebackType
from typing import Literal, Self

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from gateway.errors import GatewayError

NO_DATA_SET = "none"
"""The `data_set` label of requests that name no data set."""

_OfWorkers = Literal["livesum", "livemin", "livemax"]
"""How the values of several workers become one."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram buckets, in seconds."""


# By default, prometheus_client adds to each series another one with the time of its creation.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations


@dataclass(frozen=True, slots=True)
class RequestInstruments:
    """The instruments of requests, bound to one data set: looking up a label costs more than counting."""

    data_set: str
    requests: Counter
    abandoned: Counter
    seconds: Histogram
    own_seconds: Histogram
    druid_seconds: Histogram
    rows: Counter
    _answered: dict[tuple[int, str], Counter] = field(default_factory=dict)

    def answered(self, status: int, code: str) -> Counter:
        """Return the counter of the responses with this status and code."""
        bound = self._answered.get((status, code))
        if bound is None:
            bound = self._answered[status, code] = self.requests.labels(self.data_set, str(status), code)
        return bound


class Instruments:
    """The instruments, registered with `registry`. One object per application."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._gauges: list[Gauge] = []

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"gateway_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str, of_workers: _OfWorkers) -> Gauge:
            created = Gauge(f"gateway_{name}", text, labels, registry=registry, multiprocess_mode=of_workers)
            self._gauges.append(created)
            return created

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"gateway_{name}", text, labels, registry=registry, buckets=BUCKETS)

        self.requests = counter("requests", "Requests answered.", "data_set", "status", "code")
        self.requests_abandoned = counter(
            "requests_abandoned", "Requests whose caller disconnected or did not read the response.", "data_set"
        )
        self.request_seconds = histogram("request_seconds", "From a request to its response.", "data_set")
        self.request_own_seconds = histogram(
            "request_own_seconds", "The part spent neither on the caller's body nor on Druid.", "data_set"
        )
        self.druid_seconds = histogram(
            "druid_seconds", "The part spent waiting for Druid and for a slot there.", "data_set"
        )
        self.rows = counter("rows", "Rows returned.", "data_set")

        self._of_requests: dict[str, RequestInstruments] = {}

        self.druid_queries_running = gauge(
            "druid_queries_running", "Queries that hold a slot.", "lane", of_workers="livesum"
        )
        self.druid_queries_queued = gauge(
            "druid_queries_queued", "Queries that wait for a slot.", "lane", of_workers="livesum"
        )
        self.druid_wait_seconds = histogram(
            "druid_wait_seconds", "Time that queries waited for a slot, including those that did not have to.",
            "lane", "outcome",
        )  # fmt: skip
        self.druid_query_seconds = histogram(
            "druid_query_seconds", "From sending a query to a broker to the last byte of its response.",
            "broker", "outcome",
        )  # fmt: skip
        self.druid_cancellation_seconds = histogram(
            "druid_cancellation_seconds", "Time that cancelling a query took.", "broker", "outcome"
        )
        self.druid_shared = counter("druid_shared", "Queries that joined an identical query in flight.")
        self.reuse = counter("reuse", "Queries by where their rows came from.", "origin")
        self.reuse_bytes = gauge(
            "reuse_bytes", "Memory used by responses that are stored for reuse.", of_workers="livesum"
        )
        self.answers_bytes = gauge(
            "answers_bytes", "Memory used by responses in transit and by stored ones.", of_workers="livesum"
        )
        self.broker_up = gauge("broker_up", "Whether a broker answers.", "broker", of_workers="livemin")
        self.coverage_age_seconds = gauge(
            "coverage_age_seconds",
            "Seconds since the coordinator last listed the data that exists.",
            of_workers="livemax",
        )
        self.realtime_age_seconds = gauge(
            "realtime_age_seconds",
            "Seconds since the segments of streaming tasks were last searched.",
            of_workers="livemax",
        )

        self.schema_age_seconds = gauge(
            "schema_age_seconds",
            "Seconds since each data set was last compared with Druid's columns.",
            of_workers="livemax",
        )
        self.data_set_available = gauge(
            "data_set_available",
            "Whether a data set matches Druid's columns and is served.",
            "data_set",
            of_workers="livemin",
        )

        self.account_lookups = counter(
            "account_lookups", "Account lookups, by where the result came from.", "kind", "source"
        )
        self.account_database_seconds = histogram(
            "account_database_seconds", "Time that the account database took to respond.", "kind", "outcome"
        )

    def write_gauges(self) -> None:
        """Write the gauges that show the value of a function for the supervisor; see worker_metrics."""
        for gauge in self._gauges:
            for family in gauge.collect():
                for sample in family.samples:
                    (gauge.labels(**sample.labels) if sample.labels else gauge).set(sample.value)

    def of_requests(self, data_set: str) -> RequestInstruments:
        """Return the instruments of the requests for a data set, or for NO_DATA_SET."""
        bound = self._of_requests.get(data_set)
        if bound is None:
            bound = self._of_requests[data_set] = RequestInstruments(
                data_set,
                self.requests,
                self.requests_abandoned.labels(data_set),
                self.request_seconds.labels(data_set),
                self.request_own_seconds.labels(data_set),
                self.druid_seconds.labels(data_set),
                self.rows.labels(data_set),
            )
        return bound


class Timer:
    """A running measurement. `stop` ends it before the outcome is known; `outcome` overrides the default one."""

    __slots__ = ("_histogram", "_labels", "_started", "_stopped", "_success", "outcome")

    def __init__(self, histogram: Histogram, labels: tuple[str, ...], success: str) -> None:
        self._histogram = histogram
        self._labels = labels
        self._success = success
        self._started = perf_counter()
        self._stopped: float | None = None
        self.outcome: str | None = None

    def stop(self) -> None:
        """Stop counting time."""
        self._stopped = perf_counter()

    @property
    def seconds(self) -> float:
        """The time measured so far."""
        return (self._stopped or perf_counter()) - self._started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome = self.outcome or (self._success if error is None else outcome_of(error))
        _bound(self._histogram, *self._labels, outcome).observe(self.seconds)


def timed(histogram: Histogram, *labels: str, success: str) -> Timer:
    """Observe how long a `with` block takes, labelled `labels` and its outcome: `success`, or what its error means."""
    return Timer(histogram, labels, success)


@lru_cache(maxsize=1_024)
def _bound(histogram: Histogram, *labels: str) -> Histogram:
    """Return the histogram of these labels. Looking them up again costs more than observing."""
    return histogram.labels(*labels)


def outcome_of(error: BaseException) -> str:
    """Return one of a few words for how something ended: an error's code, "abandoned" or "failed"."""
    if isinstance(error, GatewayError):
        return error.code
    return "abandoned" if isinstance(error, asyncio.CancelledError) else "failed"
