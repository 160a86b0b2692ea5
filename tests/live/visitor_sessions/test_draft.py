"""A drafted file of this data source passes the check and counts the same rows."""

from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from gateway.catalog.load import load_catalog
from gateway.catalog.model import Dataset
from gateway.cli import app
from tests.conftest import Druid
from tests.live.visitor_sessions.asking import EVER, START, Row
from tests.serving import D, Gateway


def test_a_drafted_file_counts_the_same_rows(
    druid: Druid, dataset: Dataset, rows: list[Row], serve: Callable[..., Gateway], tmp_path: Path
) -> None:
    file = tmp_path / "drafted.yaml"
    urls = ("--broker", druid.broker_url, "--coordinator", druid.coordinator_url)
    arguments = ["catalog", "draft", dataset.data_source, "--name", "drafted", "--output", str(file)]
    assert CliRunner().invoke(app, [*arguments, *urls]).exit_code == 0
    checked = CliRunner().invoke(app, ["catalog", "check", str(file), *urls])
    assert checked.exit_code == 0, checked.output
    gateway = serve(load_catalog([file])["drafted"])
    answer = gateway.post({"interval": EVER, "aggregations": [{"type": "count"}]}, dataset="drafted")
    assert answer.data == [[START, len([row for row in rows if row["owner_organization_id"] == D])]]
