"""docs/operations.md lists every metric that there is, and no other."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from gateway.access.accounts import Accounts
from gateway.admission import Admission
from gateway.appended import Appended
from gateway.broker import Broker
from gateway.brokers import Brokers
from gateway.coverage import Coverage
from gateway.druid import Druid
from gateway.flights import Flights
from gateway.memory import Memory
from gateway.metrics import Metrics
from gateway.realtime import Realtime
from tests.conftest import ROOT
from tests.serving import settings_for

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


async def test_each_metric_stands_in_the_table_and_each_in_the_table_is_shown(tmp_path: Path) -> None:
    url = URL("http://127.0.0.1:1")
    metrics = Metrics()
    metrics.accounts = Accounts(settings_for(tmp_path, str(url)))
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
