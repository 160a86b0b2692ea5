"""Numbers that Druid cannot compute are null or an error, and never a wrong number."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.catalog.model import Dataset
from tests.conftest import Data
from tests.live.reports import has, report
from tests.serving import D, Gateway

DAYS = {"start": "2019-01-01", "end": "2019-01-04"}
SALES = {"2019-01-01": [1e308, 1e308], "2019-01-02": [2.0, 4.0], "2019-01-03": []}
"""The sum of the first day exceeds the range of a double."""
ORG = has("scope", "org")
NUMBERS = ({"type": "sum", "fields": ["sales"]}, {"type": "avg", "fields": ["sales"]})
WARNINGS = [
    {
        "code": "not_finite",
        "message": f"sales_{suffix} is null in at least one row because the data or its sum is not a finite number",
        "pointer": f"/aggregations/{index}/fields/0",
    }
    for index, suffix in enumerate(("sum", "avg"))
]


@pytest.fixture(scope="module")
def huge_sales(
    ingested: Callable[..., Dataset], gateway_for: Callable[[Data], Gateway], tmp_path_factory: pytest.TempPathFactory
) -> Gateway:
    file = tmp_path_factory.mktemp("huge") / "rows.jsonl"
    rows = [
        {"timestamp": f"{day}T12:00:00Z", "owner_organization_id": D, "scope": "org", "sales": sales}
        for day, each in SALES.items()
        for sales in each
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return gateway_for(Data(ingested("huge", file), file, (D,)))


@pytest.mark.parametrize("group_by", [[], ["scope"]])
def test_a_sum_out_of_range_is_null_with_a_warning(huge_sales: Gateway, group_by: list[str]) -> None:
    answer = huge_sales.post(report(*NUMBERS, interval=DAYS, granularity="day", group_by=group_by, filters=ORG))
    numbers = {row[0][:10]: row[-2:] for row in answer.data}
    assert numbers == {"2019-01-01": [None, None], "2019-01-02": [6.0, 3.0], **({} if group_by else EMPTY)}
    assert answer.json["warnings"] == WARNINGS


EMPTY: dict[str, list[float | None]] = {"2019-01-03": [0.0, None]}


@pytest.mark.parametrize("group_by", [[], ["scope"]])
def test_null_comes_first_and_matches_no_comparison(huge_sales: Gateway, group_by: list[str]) -> None:
    ordered = report(
        *NUMBERS,
        interval=DAYS,
        granularity="day",
        group_by=group_by,
        order_by=[{"column": "sales_sum", "direction": "descending"}],
    )
    assert [row[0][:10] for row in huge_sales.post(ordered).data][-1] == "2019-01-01"
    for comparison in ("greaterThan", "lessThan"):
        having = [{"type": comparison, "metric": "sales_sum", "value": 5}]
        rows = huge_sales.post({**ordered, "having": having}).data
        assert "2019-01-01" not in [row[0][:10] for row in rows]


def test_totals_out_of_range_are_null_with_a_warning(huge_sales: Gateway) -> None:
    interval = {"start": "2019-01-01", "end": "2019-01-02"}
    answer = huge_sales.post(report(*NUMBERS, interval=interval, totals=True, filters=ORG))
    assert answer.json["totals"][1:] == [None, None]
    assert answer.json["warnings"] == WARNINGS


def test_an_answer_of_finite_numbers_has_no_warnings(huge_sales: Gateway) -> None:
    answer = huge_sales.post(report(*NUMBERS, interval={**DAYS, "start": "2019-01-02"}, filters=ORG))
    assert "warnings" not in answer.json


def test_a_data_set_whose_data_lacks_a_metric_is_not_served(
    hand_counted: Data, gateway_for: Callable[..., Gateway]
) -> None:
    """The segments lack the metric that the data set names, as segments do that were ingested with another spec."""
    dimensions = tuple(
        replace(each, unique_metric="absent_unique") if each.name == "visitor_ids" else each
        for each in hand_counted.dataset.dimensions
    )
    data = replace(hand_counted, dataset=replace(hand_counted.dataset, dimensions=dimensions))
    gateway = gateway_for(data, uniques="metric")
    answer = gateway.post(report({"type": "hyperUnique", "fields": ["visitor_ids"]}))
    assert (answer.status, answer.json["code"]) == (503, "data_set_unavailable")
