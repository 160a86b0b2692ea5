"""docs/data-sets.md is right: its files are valid, its tables list every key, its example runs on a real Druid."""

import asyncio
import json
import re
import secrets
import textwrap
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from gateway import ingest
from gateway.catalog.check import SCHEMA_FILE
from gateway.catalog.load import load_catalog
from tests.conftest import ROOT, Druid
from tests.serving import D, Gateway, serving_aside, settings_for

PAGE: Final = (ROOT / "docs" / "data-sets.md").read_text(encoding="utf-8")
SCHEMA: Final[dict[str, Any]] = json.loads(SCHEMA_FILE.read_text())


def block(kind: str) -> str:
    (found,) = blocks(kind)
    return found


def blocks(kind: str) -> list[str]:
    found = re.findall(rf"^ *```{kind}\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(each) for each in found]


def keys(section: str) -> list[str]:
    text = PAGE.split(f"### {section}\n")[1].split("\n#")[0]
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


def write(folder: Path, text: str) -> Path:
    file = folder / "orders.yaml"
    file.write_text(text)
    return file


def test_the_tables_list_every_key() -> None:
    properties = SCHEMA["properties"]
    dimension = properties["dimensions"]["items"]["properties"]
    assert keys("The data set") == list(properties)
    assert keys("`tenant`") == list(properties["tenant"]["properties"])
    assert keys("`rows`") == list(properties["rows"]["properties"])
    assert keys("`dimensions`") == list(dimension)
    assert keys("`deprecated`") == list(properties["deprecated"]["properties"])
    metrics = re.findall(r"^\| (`.*?`) \| `", PAGE.split("| Key of `metrics` |")[1].split("\n\n")[0], re.MULTILINE)
    assert re.findall(r"`(\w+)`", ", ".join(metrics)) == list(dimension["metrics"]["properties"])


def test_required_keys_are_marked() -> None:
    dimension = SCHEMA["properties"]["dimensions"]["items"]
    parts = (SCHEMA, dimension, *(SCHEMA["properties"][name] for name in ("tenant", "deprecated")))
    required = {name for part in parts for name in part["required"]}
    assert set(re.findall(r"^\| `(\w+)` \| required \|", PAGE, re.MULTILINE)) == required


def test_reserved_names_are_listed() -> None:
    (line,) = re.findall(r"^- (`start_time`.*?) are names", PAGE, re.DOTALL | re.MULTILINE)
    assert re.findall(r"`(\w+)`", line) == SCHEMA["definitions"]["dimension_name"]["not"]["enum"]


@pytest.mark.parametrize("part", ["tenant", "rows", "dimensions", "advice", "deprecated"])
def test_the_parts_are_valid(part: str, tmp_path: Path) -> None:
    rest = {
        "tenant": "tenant: {column: customer}\n",
        "dimensions": "dimensions: [{name: scope, description: The scope.}]\n",
    }
    head = "name: part\ntitle: Part\ndescription: A part.\ndata_source: part\n"
    others = "".join(value for key, value in rest.items() if key != part)
    for text in blocks(f"yaml {part}"):
        load_catalog([write(tmp_path, head + text + others)])


def test_the_spec_fills_the_data_set_with_checked_rows(tmp_path: Path) -> None:
    datasets = load_catalog([write(tmp_path, block("yaml"))])
    spec = ingest.parse("orders-spec.json", block("json spec"), datasets, brings_files=True)
    assert spec.rows is not None
    assert [spec.rows.problem(line) for line in block("jsonl").encode().splitlines()] == [None] * 4


@pytest.fixture(scope="module")
def orders(druid: Druid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The page's rows in Druid, and a gateway with the page's file."""
    folder = tmp_path_factory.mktemp("orders")
    datasets = load_catalog([write(folder, block("yaml"))])
    data_source = f"test_orders_{secrets.token_hex(4)}"
    rows = folder / "rows.jsonl"
    rows.write_text(block("jsonl"))
    task = block("json spec").replace("/tmp/orders.jsonl", str(rows))
    spec = ingest.parse("orders-spec.json", task, datasets, brings_files=False)
    cluster = ingest.DruidUrls.parse(overlord=druid.coordinator_url, broker=druid.broker_url)
    asyncio.run(ingest.ingest(spec, cluster, data_source=data_source))
    served = [replace(dataset, data_source=data_source) for dataset in datasets.values()]
    with serving_aside(settings_for(folder, druid.broker_url), organizations=[D], datasets=served) as gateway:
        yield gateway
    url = f"{druid.coordinator_url}/druid/coordinator/v1/datasources/{data_source}"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()


def test_the_first_answer_is_the_one_on_the_page(orders: Gateway) -> None:
    answer = orders.post(json.loads(block("json")), dataset="orders")
    assert answer.status == 200, answer.body
    assert answer.json == json.loads(block("json answer"))
