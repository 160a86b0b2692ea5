"""The demo's data set with names: its file, the sample rows, and the lookups that the samples' program writes."""

import json
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from druid.lookups import register, remove
from gateway.catalog.load import load_catalog
from tests.conftest import GENERATED_ORGANIZATIONS, SAMPLES, SEED, Data, Druid
from tests.serving import D, Gateway

WHOLE = {"start": "2018-12-01", "end": "2020-02-01"}

Names = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Names:
    file = tmp_path_factory.mktemp("names") / "names.json"
    arguments = ("--organizations", str(GENERATED_ORGANIZATIONS), "--seed", str(SEED), "--out", str(file))
    subprocess.run([sys.executable, SAMPLES / "names.py", *arguments], check=True)
    found: Names = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def operators(
    names: Names,
    druid: Druid,
    generated: Data,
    gateway_for: Callable[..., Gateway],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    unique = secrets.token_hex(4)
    text = (SAMPLES / "operators.yaml").read_text(encoding="utf-8")
    for name in names:
        text = text.replace(f"lookup: {name}\n", f"lookup: {name}_{unique}\n")
    file = tmp_path_factory.mktemp("operators") / "operators.yaml"
    file.write_text(text, encoding="utf-8")
    dataset = replace(load_catalog([file])["operators"], data_source=generated.dataset.data_source)
    lookups = {f"{name}_{unique}": each for name, each in names.items()}
    register(druid.coordinator_url, lookups)
    yield gateway_for(replace(generated, dataset=dataset))
    for name in lookups:
        remove(druid.coordinator_url, name)


def rows_of(generated: Data) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in generated.file.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["owner_organization_id"] == D]


def test_operators_are_grouped_and_filtered_by_their_names(operators: Gateway, generated: Data, names: Names) -> None:
    body = {"interval": WHOLE, "group_by": ["user_name"], "aggregations": [{"type": "count"}]}
    answer = operators.post(body, dataset="operators")
    wanted = Counter(names["user_names"].get(row["user_id"]) for row in rows_of(generated) if row["scope"] == "user")
    assert {row[1]: row[2] for row in answer.data} == wanted
    assert None in wanted
    assert [warning["code"] for warning in answer.json["warnings"]] == ["default_filter"]

    name = next(name for name in wanted if name is not None)
    one = {"type": "selector", "dimension": "user_name", "value": name}
    assert [row[1:] for row in operators.post(body | {"filters": one}, dataset="operators").data] == [
        [name, wanted[name]]
    ]


def test_teams_and_rooms_have_names(operators: Gateway, generated: Data, names: Names) -> None:
    for dimension, column, lookup, scope in (
        ("team_name", "team_id", "team_names", "team"),
        ("room_names", "room_ids", "room_names", "org"),
    ):
        body = {
            "interval": WHOLE,
            "group_by": [dimension],
            "aggregations": [{"type": "count"}],
            "filters": {"type": "selector", "dimension": "scope", "value": scope},
        }
        wanted: Counter[str | None] = Counter()
        for row in (row for row in rows_of(generated) if row["scope"] == scope):
            ids = row[column] if isinstance(row[column], list) else [row[column]]
            wanted.update({names[lookup].get(each) for each in ids} or {None})
        answer = operators.post(body, dataset="operators")
        assert {row[1]: row[2] for row in answer.data} == wanted
        assert "warnings" not in answer.json
