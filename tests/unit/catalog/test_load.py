"""Data set files become data sets, or one error with every problem of every file."""

import copy
import json
import os
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.document import InvalidYaml, read_document
from gateway.catalog.load import LARGEST_FILE, CatalogInvalid, load_catalog
from gateway.catalog.model import Advice, Dataset, Deprecation, Dimension, Kind, TenantColumns
from gateway.catalog.stored import Lookup, Metrics, Rows
from gateway.query.limits import Limits
from gateway.query.schema import compile_schema
from gateway.web.openapi import openapi
from tests.unit.catalog.conftest import VALID


def test_a_valid_file_is_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text(VALID)
    assert load_catalog([tmp_path]) == {
        "orders": Dataset(
            name="orders",
            title="Orders",
            description="One row for each order.",
            data_source="shop-orders",
            tenant=TenantColumns("customer", "suppliers"),
            dimensions=(
                Dimension("country", "ship_country", "Where the order went.", allowed=("NO", "SE")),
                Dimension("amount", "amount", "The order's value.", kind=Kind.DOUBLE, aggregations=("avg", "sum")),
                Dimension(
                    "item_ids",
                    "item_ids",
                    "What was ordered.",
                    multi_valued=True,
                    aggregations=("hyperUnique",),
                    unique_metric="item_ids_unique",
                ),
            ),
            advice=(Advice("country", "countries are mixed"),),
        )
    }


def test_lookups_metrics_and_rolled_up_rows(tmp_path: Path) -> None:
    text = VALID.replace("dimensions:\n", "rows: {count_metric: n, granularity: hour}\ndimensions:\n")
    text = text.replace("advice:\n", MORE + "advice:\n")
    (tmp_path / "orders.yaml").write_text(text)
    orders = load_catalog([tmp_path])["orders"]
    assert orders.rows == Rows("n", "hour")
    assert {each.rows_metric for each in orders.dimensions} == {"n"}
    names, worth = orders.by_name["item_names"], orders.by_name["worth"]
    assert (names.column, names.lookup, names.multi_valued) == ("_item_names", Lookup("items", "item_ids"), True)
    assert worth.metrics == Metrics(sum="worth_sum", count="worth_count")
    assert orders.by_name["state"].default == ("paid",)
    assert "worth" not in orders.columns
    assert {each.name for each in orders.dimensions if not each.has_own_column} == {"item_names", "worth"}


MORE = """\
  - {name: item_names, lookup: items, of: item_ids, description: Names.}
  - {name: state, description: The state., values: [placed, paid], default_filter: [paid]}
  - name: worth
    type: double
    description: The worth.
    aggregations: [avg, sum]
    metrics: {sum: worth_sum, count: worth_count}
"""


def test_the_days_of_a_deprecated_data_set(tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text(VALID + 'deprecated: {since: "2026-01-01"}\n')
    assert load_catalog([tmp_path])["orders"].deprecation == Deprecation(date(2026, 1, 1))
    page = "https://docs.example/new?a=1#b"
    more = f'deprecated: {{since: "2026-01-01", sunset: "2026-01-01", link: "{page}"}}\n'
    (tmp_path / "orders.yaml").write_text(VALID + more)
    assert load_catalog([tmp_path])["orders"].deprecation == Deprecation(date(2026, 1, 1), date(2026, 1, 1), page)


def test_no_and_yes_are_words(tmp_path: Path) -> None:
    """YAML 1.1 would read Norway as false."""
    (tmp_path / "orders.yaml").write_text(VALID.replace('["NO", "SE"]', "[NO, SE, yes, off, Y]"))
    assert load_catalog([tmp_path])["orders"].by_name["country"].allowed == ("NO", "SE", "yes", "off", "Y")


def test_hyper_unique_needs_no_ingested_metric(tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text(VALID.replace("    unique_metric: item_ids_unique\n", ""))
    assert load_catalog([tmp_path])["orders"].by_name["item_ids"].unique_metric is None


def test_the_tenants_column_may_be_a_dimension_of_another_name(tmp_path: Path) -> None:
    text = VALID.replace("column: ship_country", "column: customer").replace('    values: ["NO", "SE"]\n', "")
    (tmp_path / "orders.yaml").write_text(text)
    assert load_catalog([tmp_path])["orders"].by_name["country"].column == "customer"


def test_every_problem_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    a, b, c, gone = (tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml", "gone.yaml"))
    a.write_text(VALID.replace("type: double", "type: doubles").replace("dimension: country", "dimension: countri"))
    b.write_text(VALID.replace("title: Orders", "titles: Orders").replace("[hyperUnique]", "[sum]"))
    c.write_text("name: [")
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog([gone, tmp_path])
    found = [(each.file.name, each.position, each.message.partition(" ")[0]) for each in caught.value.problems]
    assert found == [
        ("gone.yaml", None, "there"),
        ("a.yaml", (14, 11), "type:"),
        ("a.yaml", (23, 16), "'countri'"),
        ("b.yaml", (1, 1), "the"),
        ("b.yaml", (1, 7), "the"),
        ("b.yaml", (2, 1), "unknown"),
        ("b.yaml", (20, 20), "sum"),
        ("b.yaml", (21, 20), "a"),
        ("c.yaml", (1, 8), "is"),
    ]


def test_two_files_cannot_have_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VALID)
    (tmp_path / "b.yml").write_text(VALID)
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog([tmp_path])
    assert str(caught.value) == f"{tmp_path}/b.yml:1:7: the data set in {tmp_path}/a.yaml has the name 'orders', too"


def test_a_file_and_its_folder_are_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VALID)
    assert load_catalog([tmp_path, tmp_path / "a.yaml", tmp_path]).keys() == {"orders"}


def test_without_paths_the_examples_are_loaded_and_paths_replace_them(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VALID)
    (tmp_path / "notes.txt").write_text("not a data set")
    assert load_catalog().keys() == {"chat_sessions", "visitor_sessions"}
    assert load_catalog([tmp_path]).keys() == {"orders"}


def _empty_folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _large(path: Path) -> None:
    path.write_bytes(b"#" * (LARGEST_FILE + 1))


def _loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (_empty_folder, "the folder contains no .yaml file"),
        (_pipe, "is not a regular file"),
        (_large, f"is larger than {LARGEST_FILE} bytes"),
        (_loop, "there is no such file or folder"),
        (lambda path: path.write_text(""), "1:1: is empty"),
        (lambda path: path.write_text("- a\n"), "1:1: must be a mapping (key: value), not a list"),
    ],
    ids=["an empty folder", "a pipe", "too large", "a loop of links", "an empty file", "a list"],
)
def test_what_cannot_be_read_is_a_problem(tmp_path: Path, make: Any, problem: str) -> None:
    path = tmp_path / "orders.yaml"
    make(path)
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog([path])
    (found,) = caught.value.problems
    assert str(found).startswith(f"{path}:")
    assert str(found).endswith(problem)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\n",
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "? " * 100_000,
    ],
    ids=["aliases of aliases", "lists", "mappings", "items", "keys"],
)
def test_a_small_file_cannot_become_large_or_deep(text: str) -> None:
    with pytest.raises(InvalidYaml, match=r"not allowed|levels|not valid"):
        read_document(text)


@given(st.text(alphabet=st.sampled_from("ab: -[]{}\"'\\\n#&*!|>%@`?,\tuUx0\ud800\x07é"), max_size=60))
def test_no_text_ends_in_another_error(text: str) -> None:
    with suppress(InvalidYaml):
        assert read_document(text).position() >= (1, 1)


def _places(value: Any, *keys: str | int) -> list[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [keys, *(place for key, child in children for place in _places(child, *keys, key))]


ORIGINAL = read_document(VALID).value
WORDS = st.sampled_from(["customer", "suppliers", "amount", "string", "long", "sum", "hyperUnique", "a", "", "__time"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_places(ORIGINAL)), ANYTHING)
def test_a_file_is_either_rejected_or_can_be_served(place: tuple[str | int, ...], replacement: Any) -> None:
    changed = {"root": copy.deepcopy(ORIGINAL)}
    inner: Any = changed
    *path, last = ("root", *place)
    for key in path:
        inner = inner[key]
    inner[last] = replacement
    with TemporaryDirectory() as folder:
        (Path(folder) / "orders.yaml").write_text(json.dumps(changed["root"]))
        try:
            (dataset,) = load_catalog([Path(folder)]).values()
        except CatalogInvalid:
            return
    schema = compile_schema(dataset, Limits())
    assert openapi([schema])["paths"]
    assert dataset.tenant.partner_column not in {each.column for each in dataset.dimensions}
