"""What Prometheus is told: requests, times, queries in Druid, brokers, and how old the knowledge of the data is.

Each application counts in a registry of its own. docs/operations.md says what to alarm on.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from gateway.druid import Druid

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The counters that requests turn, and the gauges that are read off when somebody looks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gateway_requests_total",
            "Requests, by data set, HTTP status and error code.",
            ["data_set", "status", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "gateway_request_seconds",
            "From a request to its answer.",
            ["data_set"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.druid_seconds = Histogram(
            "gateway_druid_seconds",
            "The part of it that was spent waiting for Druid, and for a place there.",
            ["data_set"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rows = Counter("gateway_rows_total", "Rows answered.", ["data_set"], registry=self.registry)
        self.abandoned = Counter(
            "gateway_requests_abandoned_total", "Requests whose callers left.", registry=self.registry
        )

    def watch(self, druid: Druid) -> None:
        """Show the state of Druid's client from now on."""
        self.registry.register(_State(druid))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


class _State(Collector):
    def __init__(self, druid: Druid) -> None:
        self._druid = druid

    def collect(self) -> list[GaugeMetricFamily]:
        druid = self._druid
        running = GaugeMetricFamily("gateway_druid_queries_running", "Queries that Druid has.", labels=["lane"])
        queued = GaugeMetricFamily("gateway_druid_queries_queued", "Queries that wait for a place.", labels=["lane"])
        for lane, places in (("ordinary", druid.places), ("heavy", druid.heavy_places)):
            running.add_metric([lane], places.running)
            queued.add_metric([lane], places.queued)
        brokers = GaugeMetricFamily("gateway_broker_up", "Whether a broker answers.", labels=["broker"])
        for url, answers in druid.brokers.states.items():
            brokers.add_metric([url], answers)
        families = [running, queued, brokers]
        if druid.coverage is not None:
            age = "Seconds since the coordinator last said what data there is."
            families.append(GaugeMetricFamily("gateway_coverage_age_seconds", age, value=druid.coverage.age))
        return families
