"""docs/operations.md lists every metric that there is, and no other."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from gateway.accounts.store import Accounts
from gateway.telemetry.instruments import Instruments
from gateway.web.metrics import Metrics
from tests.conftest import ROOT
from tests.serving import settings_for

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


async def test_each_metric_stands_in_the_table_and_each_in_the_table_is_shown(tmp_path: Path) -> None:
    metrics = Metrics(Instruments())
    metrics.accounts = Accounts(settings_for(tmp_path, "http://127.0.0.1:1"))
    shown = {
        f"{family.name}_total" if family.type == "counter" and not family.name.endswith("_total") else family.name
        for family in text_string_to_metric_families(metrics.text().decode())
        if family.name.startswith("gateway_")
    }
    listed = re.findall(r"^\| `(gateway_\w+)", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(shown)
