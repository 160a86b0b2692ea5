"""What Prometheus is told. Everything is counted as plain values where it happens, and read off when somebody looks.

No label ever holds what a caller made up: the series are few. docs/operations.md says what to alarm on.
"""

from collections import Counter
from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from gateway.accounts.store import Accounts
from gateway.telemetry.durations import Durations
from gateway.telemetry.instruments import Instruments

INSTRUMENTS = web.AppKey("instruments", Instruments)
_OF_REQUESTS = ("gateway_request", "gateway_rows", "gateway_druid_seconds", "gateway_account", "process_")
# By default each series has another one with the time of its creation.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations

NO_DATA_SET = "none"
"""The data set of requests that are for none."""


class Metrics(Collector):
    """What is counted of requests, and of Druid and the accounts where there are such."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self.requests: Counter[tuple[str, ...]] = Counter()
        self.abandoned: Counter[tuple[str, ...]] = Counter()
        self.rows: Counter[tuple[str, ...]] = Counter()
        self.seconds = Durations()
        self.own_seconds = Durations()
        self.druid_seconds = Durations()
        self.accounts: Accounts | None = None
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
        for family in self._instruments.registry.collect():
            if not family.name.startswith(_OF_REQUESTS):
                yield family
        if self.accounts is not None:
            yield from _of_accounts(self.accounts)


def _of_accounts(accounts: Accounts) -> Iterator[Metric]:
    kinds = {(kind,): recent for kind, recent in accounts.lookups.items()}
    yield _counter(
        "account_lookups",
        "Questions about accounts, by where the answer came from.",
        ("kind", "source"),
        {(*kind, source): count for kind, recent in kinds.items() for source, count in recent.lookups.items()},
    )
    yield _histogram(
        "account_database_seconds",
        "How long the account database took to answer.",
        ("kind", "outcome"),
        {kind: recent.loads for kind, recent in kinds.items()},
    )


_Labels = tuple[str, ...]


def _counter(name: str, text: str, labels: _Labels, counts: dict[_Labels, int]) -> Metric:
    family = CounterMetricFamily(f"gateway_{name}", text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _histogram(name: str, text: str, labels: _Labels, durations: dict[_Labels, Durations]) -> Metric:
    family = HistogramMetricFamily(f"gateway_{name}", text, labels=labels)
    for values, each in durations.items():
        for last, histogram in each:
            family.add_metric((*values, last), histogram.buckets, histogram.total)
    return family
