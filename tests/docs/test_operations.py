"""docs/operations.md lists every metric that there is, and no other."""

import re

from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from gateway.druid.admission import Admission
from gateway.druid.api.broker import Broker
from gateway.druid.broker_pool import Brokers
from gateway.druid.completeness.appended_segments import Appended
from gateway.druid.completeness.availability import Coverage
from gateway.druid.completeness.realtime_monitor import Realtime
from gateway.druid.executor import Druid
from gateway.druid.memory_budget import Memory
from gateway.druid.single_flight import Flights
from gateway.web.metrics import Metrics
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


async def test_each_metric_stands_in_the_table_and_each_in_the_table_is_shown() -> None:
    url = URL("http://127.0.0.1:1")
    metrics = Metrics()
    brokers = Brokers([Broker(url, max_answer_bytes=1)])
    coverage = Coverage(url, (), period=1)
    metrics.druid = Druid(
        brokers,
        coverage,
        Appended(coverage),
        Realtime(brokers, coverage, (), period=1),
        Admission(places=2, queue=2),
        Admission(places=2, queue=2),
        Flights(),
        Memory(1),
    )
    shown = {
        f"{family.name}_total" if family.type == "counter" and not family.name.endswith("_total") else family.name
        for family in text_string_to_metric_families(metrics.text().decode())
        if family.name.startswith("gateway_")
    }
    listed = re.findall(r"^\| `(gateway_\w+)", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(shown)
