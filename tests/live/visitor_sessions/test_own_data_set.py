"""A data set needs only its file, from which everything else follows."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.catalog.load import EXAMPLES, load_catalog
from gateway.catalog.model import TIME_PARTS, Dataset
from gateway.query.aggregations import Uniques
from tests.live.visitor_sessions.asking import EVER, START, Condition, Row, get, known
from tests.serving import D, Gateway, P

Json = dict[str, Any]

MADE_UP = """
name: stays
title: Stays
description: One row for each stay.
data_source: {data_source}
tenant:
  column: owner_organization_id
dimensions:
  - {{name: device, column: device_type, description: The device., values: [desktop, tablet, mobile]}}
  - {{name: seconds, column: duration, type: double, description: Seconds., aggregations: [sum]}}
  - {{name: visitor, column: visitor_id, description: The visitor., aggregations: [hyperUnique]}}
  - {{name: pages, column: page_view_count, type: long, description: Pages., aggregations: [hyperUnique, avg]}}
  - {{name: browser, column: browser_name, description: The browser.}}
  - {{name: customer, column: owner_organization_id, description: The customer.}}
advice:
  - {{dimension: device, message: devices are mixed}}
"""
PUBLIC_NAMES = ["device", "seconds", "visitor", "pages", "browser", "customer"]


@pytest.fixture(scope="module")
def stays(serve: Callable[..., Gateway], dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """A gateway with one additional data set file, which renames every column."""
    file = tmp_path_factory.mktemp("catalog") / "stays.yaml"
    file.write_text(MADE_UP.format(data_source=dataset.data_source))
    return serve(*load_catalog([EXAMPLES, file]).values(), uniques=Uniques.METRIC)


def test_a_data_set_needs_only_one_file(stays: Gateway, rows: list[Row]) -> None:
    answer = stays.post(
        {
            "interval": EVER,
            "group_by": ["device"],
            "aggregations": [{"type": "count"}, {"type": "sum", "fields": ["seconds"]}],
            "filters": {"type": "not", "field": {"type": "selector", "dimension": "device", "value": None}},
        },
        dataset="stays",
    )

    own = [row for row in rows if row["owner_organization_id"] == D]
    assert answer.data == [
        [START, device, len(group), pytest.approx(sum(known(group, "duration")), rel=1e-9)]
        for device in ("desktop", "mobile", "tablet")
        for group in [[row for row in own if row["device_type"] == device]]
    ]


CONDITIONS: list[tuple[Json, Condition]] = [
    (
        {"type": "in", "dimension": "device", "values": ["desktop", None]},
        lambda r: r["device_type"] in ("desktop", None),
    ),
    ({"type": "selector", "dimension": "pages", "value": 2}, lambda r: r["page_view_count"] == 2),
    ({"type": "bound", "dimension": "seconds", "lower": 60}, lambda r: (r["duration"] or 0) >= 60),
    ({"type": "bound", "dimension": "browser", "upper": "G"}, lambda r: (r["browser_name"] or "Z") <= "G"),
    ({"type": "like", "dimension": "browser", "pattern": "%o%"}, lambda r: "o" in (r["browser_name"] or "")),
]


@pytest.mark.parametrize(("condition", "matches"), CONDITIONS, ids=[each["type"] for each, _ in CONDITIONS])
def test_filters_and_aggregations_read_the_columns_that_the_file_names(
    stays: Gateway, rows: list[Row], condition: Json, matches: Condition
) -> None:
    answer = stays.post(
        {
            "interval": EVER,
            "aggregations": [{"type": "count"}, {"type": "avg", "fields": ["pages"]}],
            "filters": condition,
        },
        dataset="stays",
    )

    own = [row for row in rows if row["owner_organization_id"] == D and matches(row)]
    pages = [row["page_view_count"] for row in own]
    assert own
    assert answer.data == [[START, len(own), pytest.approx(sum(pages) / len(pages), rel=1e-9)]]


def test_hyper_unique_without_a_metric_counts_the_column_itself(stays: Gateway, rows: list[Row]) -> None:
    body = {"interval": EVER, "aggregations": [{"type": "hyperUnique", "fields": ["visitor", "pages"]}]}

    own = [row for row in rows if row["owner_organization_id"] == D]
    (row,) = stays.post(body, dataset="stays").data
    assert row[1] == pytest.approx(len({each["visitor_id"] for each in own}), rel=0.02)
    assert row[2] == len({each["page_view_count"] for each in own} - {None})


def test_the_tenants_column_can_have_another_public_name(stays: Gateway, rows: list[Row]) -> None:
    body = {"interval": EVER, "group_by": ["customer"], "aggregations": [{"type": "count"}]}
    own = [row for row in rows if row["owner_organization_id"] == D]
    assert stays.post(body, dataset="stays").data == [[START, D, len(own)]]


def test_partners_have_no_access_to_a_data_set_without_a_partner_column(stays: Gateway) -> None:
    body = {"interval": EVER, "aggregations": [{"type": "count"}]}
    assert stays.post(body, organization=P, caller=D, dataset="stays").status == 403
    assert get(stays, stays.path(P, "stays")).status == 403


def test_its_errors_name_its_dimensions(stays: Gateway) -> None:
    answer = stays.post(
        {
            "interval": EVER,
            "group_by": ["devic", "city"],  # codespell:ignore devic
            "aggregations": [{"type": "avg", "fields": ["seconds"]}],
            "filters": {"type": "selector", "dimension": "device", "value": "watch"},
        },
        dataset="stays",
    )

    assert answer.status == 400
    errors = {error["pointer"]: error["message"] for error in answer.json["errors"]}
    assert errors.keys() == {"/group_by/0", "/group_by/1", "/aggregations/0/fields/0", "/filters/value"}
    assert 'did you mean "device"?' in errors["/group_by/0"]
    assert "desktop, tablet, mobile" in errors["/filters/value"].replace('"', "")


def test_it_is_described_and_explained_and_in_the_openapi_document(stays: Gateway) -> None:
    description = get(stays, stays.path(D, "stays")).json
    assert [each["name"] for each in description["dimensions"]] == [*PUBLIC_NAMES, *TIME_PARTS]
    assert {each["type"]: each["fields"] for each in description["aggregations"]} == {
        "avg": ["pages"],
        "sum": ["seconds"],
        "hyperUnique": ["visitor", "pages"],
        "count": [],
        # The file of the data set does not list these.
        "min": [],
        "max": [],
        "quantile": [],
    }
    assert description["time_range"]["first"].startswith("2018-12-1")

    document = get(stays, "/api/reporting/v1/openapi.json").json
    path = document["paths"]["/api/reporting/v1/orgs/{organization_id}/stays"]
    assert path["post"]["operationId"] == "report_stays"
    assert path["get"]["operationId"] == "describe_stays"
    assert document["components"]["schemas"]["stays"]["properties"]["group_by"]["items"] == {
        "type": "string",
        "enum": [*PUBLIC_NAMES, *TIME_PARTS],
    }

    body = {"interval": EVER, "aggregations": [{"type": "count"}]}
    explanation = stays.post(body, dataset="stays?explain=true").json
    assert explanation["warnings"] == ["There is no filter on device: devices are mixed."]
