"""What Prometheus is told. Everything is counted as plain values where it happens, and read off when somebody looks.

No label ever holds what a caller made up: the series are few. docs/operations.md says what to alarm on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from gateway.druid.executor import Druid
from gateway.telemetry.durations import Durations
from gateway.telemetry.instruments import Instruments

NO_DATA_SET = "none"
"""The data set of requests that are for none."""


class Metrics(Collector):
    """What is counted of requests, and of Druid where there is one."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, ...]] = Counter()
        self.abandoned: Counter[tuple[str, ...]] = Counter()
        self.rows: Counter[tuple[str, ...]] = Counter()
        self.seconds = Durations()
        self.own_seconds = Durations()
        self.druid_seconds = Durations()
        self.druid: Druid | None = None
        self.instruments = Instruments()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def count(self, status: int, code: str | None, *, data_set: str = NO_DATA_SET) -> None:
        """Count a request that got this answer."""
        self.requests[data_set, str(status), code or ""] += 1

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its values as they are now."""
        by_data_set = ("data_set",)
        yield _counter("requests", "Requests that were answered.", ("data_set", "status", "code"), self.requests)
        yield _counter(
            "requests_abandoned",
            "Requests whose callers left, or did not take the answer.",
            by_data_set,
            self.abandoned,
        )
        yield _histogram("request_seconds", "From a request to its answer.", by_data_set, {(): self.seconds})
        yield _histogram(
            "request_own_seconds",
            "The part of it that was spent neither on the caller's body nor on Druid.",
            by_data_set,
            {(): self.own_seconds},
        )
        yield _histogram(
            "druid_seconds",
            "The part of it that was spent waiting for Druid, and for a place there.",
            by_data_set,
            {(): self.druid_seconds},
        )
        yield _counter("rows", "Rows answered.", by_data_set, self.rows)
        if self.druid is not None:
            yield from _of_druid(self.druid)
        yield from self.instruments.account_lookups.collect()
        yield from self.instruments.account_database_seconds.collect()


def _of_druid(druid: Druid) -> Iterator[Metric]:
    lanes = {("ordinary",): druid.places, ("heavy",): druid.heavy_places}
    brokers = {(broker.name,): broker for broker in druid.brokers.states}
    by_broker = ("broker", "outcome")
    yield _gauge(
        "druid_queries_running",
        "Queries that Druid has.",
        ("lane",),
        ((lane, of.running) for lane, of in lanes.items()),
    )
    yield _gauge(
        "druid_queries_queued",
        "Queries that wait for a place.",
        ("lane",),
        ((lane, of.queued) for lane, of in lanes.items()),
    )
    yield _histogram(
        "druid_wait_seconds",
        "How long queries waited for a place, also those that did not have to.",
        ("lane", "outcome"),
        {lane: of.waits for lane, of in lanes.items()},
    )
    yield _histogram(
        "druid_query_seconds",
        "From sending a query to a broker to the last byte of its answer.",
        by_broker,
        {name: broker.queries for name, broker in brokers.items()},
    )
    yield _histogram(
        "druid_cancellation_seconds",
        "How long the cancellations of queries took.",
        by_broker,
        {name: broker.cancelled for name, broker in brokers.items()},
    )
    yield _counter("druid_shared", "Reports that joined the same query of another.", (), {(): druid.flights.joined})
    yield _gauge("answers_bytes", "Memory that answers take.", (), [((), druid.memory.held)])
    yield _gauge(
        "broker_up",
        "Whether a broker answers.",
        ("broker",),
        (((broker.name,), answers) for broker, answers in druid.brokers.states.items()),
    )
    if druid.coverage is not None:
        age = "Seconds since the coordinator last said what data there is."
        yield _gauge("coverage_age_seconds", age, (), [((), druid.coverage.age)])
    if druid.realtime is not None:
        age = "Seconds since the last look at what streaming tasks hold."
        yield _gauge("realtime_age_seconds", age, (), [((), druid.realtime.age)])


_Labels = tuple[str, ...]


def _counter(name: str, text: str, labels: _Labels, counts: dict[_Labels, int]) -> Metric:
    family = CounterMetricFamily(f"gateway_{name}", text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _gauge(name: str, text: str, labels: _Labels, values: Iterable[tuple[_Labels, float]]) -> Metric:
    family = GaugeMetricFamily(f"gateway_{name}", text, labels=labels)
    for each, value in values:
        family.add_metric(each, value)
    return family


def _histogram(name: str, text: str, labels: _Labels, durations: dict[_Labels, Durations]) -> Metric:
    family = HistogramMetricFamily(f"gateway_{name}", text, labels=labels)
    for values, each in durations.items():
        for last, histogram in each:
            family.add_metric((*values, last), histogram.buckets, histogram.total)
    return family
