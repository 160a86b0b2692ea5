"""The metrics of several workers as one."""

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.telemetry.worker_metrics import METRICS_FOLDER

WORKER = """
import sys
from gateway.telemetry.instruments import Instruments
for gauge in Instruments()._gauges:
    (gauge.labels("x") if gauge._labelnames else gauge).set(float(sys.argv[1]))
"""


def test_each_gauge_of_several_workers_means_what_its_alert_expects(tmp_path: Path) -> None:
    for value in (1, 3, 2):
        environment = {**os.environ, METRICS_FOLDER: str(tmp_path)}
        subprocess.run([sys.executable, "-c", WORKER, str(value)], env=environment, check=True)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(tmp_path))  # type: ignore[no-untyped-call]  # it has no annotations
    gauges = [family for family in registry.collect() if family.type == "gauge"]
    found = {sample.name: sample.value for family in gauges for sample in family.samples}
    assert found == {
        "gateway_druid_queries_running": 6,
        "gateway_druid_queries_queued": 6,
        "gateway_reuse_bytes": 6,
        "gateway_answers_bytes": 6,
        "gateway_broker_up": 1,
        "gateway_data_set_available": 1,
        "gateway_coverage_age_seconds": 3,
        "gateway_realtime_age_seconds": 3,
        "gateway_schema_age_seconds": 3,
    }
