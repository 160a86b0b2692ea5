"""The native forms of what a data set stores in place of rows and values, exactly."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.catalog.load import load_catalog
from gateway.catalog.model import Dataset
from gateway.druid.tenant_guard import check_query
from gateway.errors import InvalidReport
from gateway.query.advice import ReportWarning, advice
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_report
from gateway.query.describe import describe
from gateway.query.dimension_values import plan_values
from gateway.query.explain import explain
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import Plan, plan
from gateway.query.schema import compile_schema
from gateway.query.time import parse_timestamp
from tests.datasets import NOW
from tests.tenants import tenant_of

Json = dict[str, Any]

FILE = """
name: orders
title: Orders
description: Orders.
data_source: orders
tenant: {column: customer}
rows: {count_metric: 'n "rows"', granularity: hour}
dimensions:
  - {name: user_id, column: user "id", description: The user.}
  - {name: user_name, lookup: it's a lookup, of: user_id, description: The name., aggregations: [hyperUnique]}
  - {name: room_ids, multi_valued: true, description: Rooms.}
  - {name: room_names, lookup: rooms, of: room_ids, description: Names of rooms.}
  - {name: state, description: The state., values: [placed, paid, lost], default_filter: [placed, paid]}
  - {name: pieces, type: long, description: Pieces., aggregations: [avg, sum]}
  - name: amount
    type: double
    description: The amount.
    aggregations: [avg, sum, min, max, quantile]
    metrics: {sum: amount_sum, count: amount_values, min: amount_min, max: amount_max, quantiles: amount_sketch}
  - {name: weight, type: double, description: W., aggregations: [quantile], metrics: {quantiles: weight_sketch}}
  - {name: visitor, description: Visitors., aggregations: [hyperUnique], metrics: {hll: visitor_hll}}
  - {name: device, description: Devices., aggregations: [hyperUnique], metrics: {theta: device_theta}}
  - {name: session, description: Sessions., aggregations: [hyperUnique], metrics: {hyper_unique: session_unique}}
"""
DAY = {"start": "2024-03-01", "end": "2024-03-02"}
STATE: Json = {"type": "selector", "dimension": "state", "value": "paid"}
_PRESENT = {"type": "not", "field": {"type": "null", "column": "pieces"}}
_ROWS = {"type": "longSum", "fieldName": 'n "rows"'}


@pytest.fixture
def orders(tmp_path: Path) -> Dataset:
    (tmp_path / "orders.yaml").write_text(FILE)
    return load_catalog([tmp_path])["orders"]


def planned(orders: Dataset, **body: Any) -> Plan:
    schema = compile_schema(orders, Limits())
    report = parse({"interval": DAY, "aggregations": [{"type": "count"}], **body}, schema)
    return plan(report, tenant_of(), schema, Uniques.SKETCH, now=NOW)


def compiled(orders: Dataset, **body: Any) -> DruidQuery:
    query = compile_report(planned(orders, **body))
    check_query(query)
    return query


def aggregators(orders: Dataset, *asked: Json) -> dict[str, Json]:
    """Return the aggregators by name, without their names."""
    found: list[Json] = compiled(orders, aggregations=list(asked), filters=STATE).native["aggregations"]
    return {each.pop("name", None) or each["aggregator"].pop("name"): each for each in found}


def test_count_is_the_sum_of_the_metric(orders: Dataset) -> None:
    assert aggregators(orders, {"type": "count"}) == {"_rows_count": _ROWS}
    native = compiled(orders, filters=STATE).native
    assert native["postAggregations"] == [
        {"type": "expression", "name": "count", "expression": 'nvl("_rows_count", 0)'}
    ]


def test_a_number_that_is_a_dimension_is_weighted_by_the_rows_that_it_stands_for(orders: Dataset) -> None:
    weighted = {"type": "doubleSum", "expression": 'cast("pieces", \'DOUBLE\') * "n \\"rows\\""'}
    asked = [{"type": kind, "fields": ["pieces"]} for kind in ("sum", "avg")]
    assert aggregators(orders, *asked) == {
        "_sum_pieces_sum": weighted,
        "_avg_sum_pieces_avg": weighted,
        "_avg_rows_pieces_avg": {"type": "filtered", "filter": _PRESENT, "aggregator": _ROWS},
    }


def test_metrics_are_summed(orders: Dataset) -> None:
    total = {"type": "doubleSum", "fieldName": "amount_sum"}
    asked = [{"type": kind, "fields": ["amount"]} for kind in ("sum", "avg")]
    assert aggregators(orders, *asked) == {
        "_sum_amount_sum": total,
        "_avg_sum_amount_avg": total,
        "_avg_rows_amount_avg": {"type": "longSum", "fieldName": "amount_values"},
    }


def test_extremes_and_quantiles_come_from_their_metrics(orders: Dataset) -> None:
    asked: list[Json] = [{"type": "min", "fields": ["amount"]}, {"type": "max", "fields": ["amount"]}]
    asked += [{"type": "quantile", "fraction": fraction, "fields": ["amount", "weight"]} for fraction in (0, 0.5)]
    sketches = {name: {"type": "quantilesDoublesSketch", "fieldName": name, "k": 512} for name in _SKETCHES}
    least = {"type": "doubleMin", "fieldName": "amount_min"}
    assert aggregators(orders, *asked) == {
        "_min_amount_min": least,
        "_max_amount_max": {"type": "doubleMax", "fieldName": "amount_max"},
        "_min_amount_p0": least,
        # Without a metric with the smallest value, the sketch knows it within its error of rank.
        "_sketch_weight_p0": sketches["weight_sketch"],
        "_sketch_amount_p50": sketches["amount_sketch"],
        "_sketch_weight_p50": sketches["weight_sketch"],
    }


_SKETCHES = ("amount_sketch", "weight_sketch")


def test_sketches_are_merged(orders: Dataset) -> None:
    assert aggregators(orders, {"type": "hyperUnique", "fields": ["visitor", "device", "session"]}) == {
        "visitor_hyper_unique": {"type": "HLLSketchMerge", "fieldName": "visitor_hll", "lgK": 14, "round": True},
        "device_hyper_unique": {"type": "thetaSketch", "fieldName": "device_theta", "isInputThetaSketch": False},
        "session_hyper_unique": {"type": "hyperUnique", "fieldName": "session_unique"},
    }


def test_a_lookup_is_a_virtual_column(orders: Dataset) -> None:
    query = compiled(
        orders,
        group_by=["user_name", "room_names"],
        filters=[STATE, {"type": "like", "dimension": "user_name", "pattern": "A%"}],
    ).native
    names = "map((id) -> lookup(id, 'rooms'), mv_to_array(\"room_ids\"))"
    assert query["virtualColumns"] == [
        {
            "type": "expression",
            "name": "_user_name",
            "expression": 'lookup("user \\"id\\"", \'it\\\'s a lookup\')',
            "outputType": "STRING",
        },
        {
            "type": "expression",
            "name": "_room_names",
            "expression": f"array_to_mv(array_set_add_all(<STRING>[], {names}))",
            "outputType": "STRING",
        },
    ]
    assert [each["dimension"] for each in query["dimensions"]] == ["_user_name", "_room_names"]
    assert query["filter"]["fields"][1]["fields"][1] == {"type": "like", "dimension": "_user_name", "pattern": "A%"}


@pytest.mark.parametrize(
    "body",
    [
        {"aggregations": [{"type": "hyperUnique", "fields": ["user_name"]}]},
        {"aggregations": [{"type": "count", "filter": {"type": "selector", "dimension": "user_name", "value": "A"}}]},
        {"filters": {"type": "not", "field": {"type": "selector", "dimension": "user_name", "value": None}}},
    ],
)
def test_every_use_of_a_lookup_has_its_virtual_column(orders: Dataset, body: Json) -> None:
    assert [each["name"] for each in compiled(orders, **body).native["virtualColumns"]] == ["_user_name"]


def test_a_report_without_a_lookup_has_no_virtual_column(orders: Dataset) -> None:
    assert "virtualColumns" not in compiled(orders).native


@pytest.mark.parametrize(
    "body",
    [
        {"group_by": ["amount"]},
        {"filters": {"type": "selector", "dimension": "amount", "value": 1}},
        {"filters": {"type": "like", "dimension": "visitor", "pattern": "v%"}},
    ],
)
def test_metrics_can_be_neither_filtered_nor_grouped_by(orders: Dataset, body: Json) -> None:
    with pytest.raises(InvalidReport):
        planned(orders, **body)


def test_the_description_says_what_can_only_be_aggregated(orders: Dataset) -> None:
    found = {each["name"] for each in describe(orders, Limits())["dimensions"] if each.get("aggregations_only")}
    assert found == {"amount", "weight", "visitor", "device", "session"}


DEFAULT: Json = {"type": "in", "dimension": "state", "values": ["placed", "paid"]}


def test_a_report_without_a_filter_on_the_dimension_gets_the_default_filter(orders: Dataset) -> None:
    made = planned(orders, filters={"type": "selector", "dimension": "user_id", "value": "u"})
    assert compile_report(made).native["filter"]["fields"][1]["fields"][0] == DEFAULT
    explained = explain(made, Limits(), now=NOW)
    assert explained["report"]["filters"]["fields"][0] == DEFAULT
    warning = "There is no filter on state: only rows with placed or paid are included, the default of the data set."
    assert explained["warnings"] == [warning]
    assert advice(made, NOW) == (ReportWarning("default_filter", warning, "/filters"),)


@pytest.mark.parametrize(
    "body",
    [
        {"filters": STATE},
        {"filters": {"type": "not", "field": {"type": "or", "fields": [STATE]}}},
        {"aggregations": [{"type": "count", "filter": STATE}]},
    ],
)
def test_a_filter_on_the_dimension_replaces_the_default(orders: Dataset, body: Json) -> None:
    made = planned(orders, **body)
    assert made.report.defaults == ()
    assert DEFAULT not in compile_report(made).native["filter"]["fields"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"interval": {"start": "2024-03-01T00:30", "end": "2024-03-02"}}, "/interval"),
        ({"interval": {"start": "2024-03-01", "end": "2024-03-01T12:30:00Z"}}, "/interval"),
        ({"interval": {**DAY, "time_zone": "Asia/Kolkata"}}, "/interval"),
        ({"granularity": "thirty_minute"}, "/granularity"),
        (
            {
                "interval": {"start": "2024-03-01T00:00Z", "end": "2024-03-03T00:00Z", "time_zone": "Asia/Kolkata"},
                "granularity": "day",
            },
            "/granularity",
        ),
    ],
)
def test_a_report_that_is_more_precise_than_the_data_is_rejected(orders: Dataset, body: Json, pointer: str) -> None:
    with pytest.raises(InvalidReport) as caught:
        planned(orders, **body)
    assert [problem.pointer for problem in caught.value.problems] == [pointer]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Helsinki", "America/St_Johns"])
def test_whole_hours_are_accepted(orders: Dataset, zone: str) -> None:
    interval = {"start": "2024-03-01T00:00Z", "end": "2024-03-02T23:59:59.999Z", "time_zone": zone}
    planned(orders, interval=interval, granularity="hour" if zone != "America/St_Johns" else "all")


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ({"group_by": ["user_name"]}, "user_name"),
        (
            {"filters": {"type": "not", "field": {"type": "in", "dimension": "room_names", "values": ["x"]}}},
            "room_names",
        ),
        ({"aggregations": [{"type": "hyperUnique", "fields": ["user_name"]}]}, "user_name"),
        ({"aggregations": [{"type": "count", "filter": STATE | {"dimension": "user_name"}}]}, "user_name"),
    ],
)
def test_a_report_with_names_has_no_pages(orders: Dataset, part: Json, name: str) -> None:
    """A lookup can change between two pages, and has no version."""
    body = {"interval": DAY, "aggregations": [{"type": "count"}], "limit": 5, **part}
    parse(body, compile_schema(orders, Limits()))
    with pytest.raises(InvalidReport) as caught:
        parse(body | {"offset": 0}, compile_schema(orders, Limits()))
    (problem,) = caught.value.problems
    assert (problem.pointer, name in problem.message) == ("/offset", True)


@pytest.mark.parametrize(("name", "exact"), [("pieces_sum", True), ("pieces_avg", True), ("amount_sum", False)])
def test_pages_are_ordered_by_sums_of_integers_only(orders: Dataset, name: str, exact: bool) -> None:  # noqa: FBT001
    fields = {"type": name.partition("_")[2], "fields": [name.partition("_")[0]]}
    body = {"interval": DAY, "group_by": ["state"], "aggregations": [fields], "limit": 5, "offset": 0}
    body["order_by"] = [{"column": name}]
    if exact:
        parse(body, compile_schema(orders, Limits()))
    else:
        with pytest.raises(InvalidReport):
            parse(body, compile_schema(orders, Limits()))


def test_the_values_of_a_dimension_are_those_of_all_rows(orders: Dataset) -> None:
    """With the default filter, a picker could not offer what else there is."""
    for name in ("state", "user_id"):
        made = plan_values(name, DAY, tenant_of(), compile_schema(orders, Limits()), now=NOW)
        assert len(compile_report(made).native["filter"]["fields"]) == 1


@pytest.mark.parametrize("compare", [{}, {"compare": {"to": "previous_period"}}])
def test_an_interval_until_now_includes_the_rows_of_the_current_hour(orders: Dataset, compare: Json) -> None:
    schema, now = compile_schema(orders, Limits()), parse_timestamp("2024-03-01T10:20:30", ZoneInfo("UTC"))
    for interval in ({"current": "day"}, {"last": "P1D", "include_current": True}, *([DAY] if compare else [])):
        body = {"interval": interval, "aggregations": [{"type": "count"}], **compare}
        made = plan(parse(body, schema), tenant_of(), schema, Uniques.SKETCH, now=now)
        ends = [made.interval.end, *([made.compared.interval.end + 86_400_000] if made.compared else [])]
        assert set(ends) == {parse_timestamp("2024-03-01T11:00", ZoneInfo("UTC"))}
