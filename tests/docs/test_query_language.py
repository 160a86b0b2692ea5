"""docs/query-language.md and docs/cookbook.md are correct: their examples are sent, and tables match the catalog.

A block is a whole body (```json) or the value of one key of a body (```json filters). An answer or error block after
it has the expected response; for an error, only the keys shown. A body without an error block must be accepted.
"""

import json
import re
import urllib.request
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from gateway.catalog.model import Dimension, Kind
from tests.conftest import ROOT
from tests.datasets import CHAT_SESSIONS
from tests.serving import Gateway

PAGE: Final = (ROOT / "docs" / "query-language.md").read_text(encoding="utf-8")
BASE: Final = {
    "interval": {"start": "2019-01-01", "end": "2020-01-01"},
    "aggregations": [{"type": "count"}],
}
TYPES: Final = {Kind.STRING: "string", Kind.LONG: "integer", Kind.DOUBLE: "number"}


@dataclass(frozen=True, slots=True)
class Example:
    """A body with its expected response."""

    line: int
    body: dict[str, Any]
    answer: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


def _examples(page: str) -> list[Example]:
    found: list[Example] = []
    for match in re.finditer(r"^```json ?(\w*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        kind, value = match[1], json.loads(match[2])
        if kind in ("answer", "error"):
            found[-1] = replace(found[-1], **{kind: value})
        else:
            line = page.count("\n", 0, match.start()) + 1
            found.append(Example(line, {**BASE, kind: value} if kind else value))
    return found


EXAMPLES: Final = _examples(PAGE)
RECIPES: Final = _examples((ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "example",
    [*EXAMPLES, *RECIPES],
    ids=[*(f"line-{each.line}" for each in EXAMPLES), *(f"cookbook-line-{each.line}" for each in RECIPES)],
)
def test_an_example_gets_the_documented_response(example: Example, hand_counted_gateway: Gateway) -> None:
    answer = hand_counted_gateway.post(example.body)
    if example.error is not None:
        assert {key: answer.json[key] for key in example.error if key != "errors"} == {
            key: value for key, value in example.error.items() if key != "errors"
        }
        assert _in_order(answer.json.get("errors", [])) == _in_order(example.error.get("errors", []))
        return
    assert answer.status == 200, answer.body
    if example.answer is not None:
        assert _rounded(answer.json) == example.answer


def test_the_cookbook_answers_fifteen_questions() -> None:
    assert sum(example.answer is not None for example in RECIPES) == 15


def test_every_key_and_every_kind_of_filter_has_an_example() -> None:
    bodies = json.dumps([example.body for example in EXAMPLES])
    asked = set(re.findall(r'"type": "(\w+)"', bodies))
    assert asked >= {"selector", "in", "bound", "like", "and", "or", "not", "count", "sum", "avg", "min", "max"}
    assert asked >= {"quantile", "hyperUnique", "arithmetic"}
    keys = {key for example in EXAMPLES for key in example.body}
    assert keys >= set(re.findall(r"^\| \[`(\w+)`\]", PAGE, re.MULTILINE))


def test_the_table_of_dimensions_matches_the_catalog() -> None:
    [section] = re.findall(r"^## Dimensions\n(.*)", PAGE, re.DOTALL | re.MULTILINE)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")
    ]
    assert rows == [_table_row(dimension) for dimension in CHAT_SESSIONS.dimensions]


def test_the_page_has_the_limits_and_granularities_of_the_api(hand_counted_gateway: Gateway) -> None:
    told = _told(hand_counted_gateway)
    limits = told["limits"]
    for text in (
        f"| rows of an answer | {limits['rows']:,} |",
        f"| buckets | {limits['buckets']:,} |",
        f"| days of an interval | {limits['interval_days']:,} |",
        f"| bytes of a body | {hand_counted_gateway.settings.max_body_bytes:,} |",
        f"{limits['aggregations']} aggregations, {limits['filters']} filters, {limits['filter_depth']} of them inside",
        f"{limits['filter_values']:,} values",
        ", ".join(f"`{name}`" for name in told["granularities"]).replace("`week`", "`week` (from Monday)"),
    ):
        assert text in PAGE
    assert [each["type"] for each in told["aggregations"]] == _first_cells("aggregations", order=told["aggregations"])


def _first_cells(section: str, *, order: list[dict[str, Any]]) -> list[str]:
    """Return the first column of the section's table, in the table's order."""
    [text] = re.findall(rf"^## {section}\n(.*?)^## ", PAGE, re.DOTALL | re.MULTILINE)
    cells = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    names = [each["type"] for each in order]
    return sorted(cells, key=names.index)


def _told(gateway: Gateway) -> Any:
    """Return the description of the data set (GET)."""
    token = next(iter(gateway.tokens.values()))
    request = urllib.request.Request(gateway.url + gateway.path(), headers={"Authorization": f"Token {token}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def _table_row(dimension: Dimension) -> list[str]:
    return [
        f"`{dimension.name}`",
        ", ".join(f"`{value}`" for value in dimension.allowed) or TYPES[dimension.kind],
        "yes" if dimension.multi_valued else "",
        ", ".join(f"`{name}`" for name in dimension.aggregations),
    ]


def _in_order(errors: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(errors, key=lambda error: error["pointer"])


def _rounded(value: Any) -> Any:
    """Round floats to six digits, because unique counts can differ from integers by a tiny fraction."""
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return round(value, 6) if isinstance(value, float) else value
