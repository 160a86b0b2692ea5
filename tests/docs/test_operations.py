"""docs/operations.md lists exactly the metrics of the gateway."""

import re

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.instruments import Instruments
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_table_lists_exactly_the_metrics_that_exist() -> None:
    shown = {
        f"{family.name}_total" if family.type == "counter" and not family.name.endswith("_total") else family.name
        for family in text_string_to_metric_families(generate_latest(Instruments().registry).decode())
        if family.name.startswith("gateway_")
    }
    listed = re.findall(r"^\| `(gateway_\w+)", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(shown)
