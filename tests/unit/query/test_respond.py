from typing import Any

import pytest

from gateway.errors import DataUnavailable, InvalidDruidResponse, InvalidReport, LimitExceeded
from gateway.query.aggregations import Uniques
from gateway.query.compile import compile_queries, compile_report, compile_totals
from gateway.query.native_metrics import ROWS_WITHOUT_METRIC
from gateway.query.plan import Plan
from gateway.query.respond import Result, respond
from gateway.query.top import compile_top, with_groups
from tests.unit.query.conftest import Planner

DAYS = {"start": "2019-01-01", "end": "2019-01-04"}
EVERY = [
    {"type": "count"},
    {"type": "sum", "fields": ["sales"]},
    {"type": "avg", "fields": ["sales"]},
    {"type": "hyperUnique", "fields": ["visitor_ids"]},
]
NAMES = ["count", "sales_sum", "sales_avg", "visitor_ids_hyper_unique"]
FIRST, SECOND, THIRD = (f"2019-01-0{day}T00:00:00.000+00:00" for day in (1, 2, 3))
EMPTY = [0, 0.0, None, 0.0]


def answered(planned: Plan, rows: Any, totals: Any = None) -> list[list[Any]]:
    results = {"report": Result(compile_report(planned), rows)}
    if totals is not None:
        results["totals"] = Result(compile_totals(planned), totals)
    answer = respond(planned, results)
    slices = [*answer.slices(), *([] if answer.totals is None else [answer.totals])]
    return [list(row) for each in slices for row in each.rows]


def day(number: int, *values: object) -> dict[str, Any]:
    return {"timestamp": f"2019-01-0{number}T00:00:00.000Z", "result": dict(zip(NAMES, values, strict=True))}


@pytest.fixture
def by_day(planner: Planner) -> Plan:
    return planner({"interval": DAYS, "granularity": "day", "aggregations": EVERY})


@pytest.fixture
def whole(planner: Planner) -> Plan:
    return planner({"interval": DAYS, "aggregations": EVERY})


@pytest.fixture
def by_scope(planner: Planner) -> Plan:
    return planner({"interval": DAYS, "granularity": "day", "group_by": ["scope"], "aggregations": [{"type": "count"}]})


def test_buckets_that_druid_omits_are_in_the_answer(by_day: Plan) -> None:
    assert answered(by_day, []) == [[start, *EMPTY] for start in (FIRST, SECOND, THIRD)]
    assert answered(by_day, [day(2, 3, 1.5, 0.5, 2.0)]) == [
        [FIRST, *EMPTY],
        [SECOND, 3, 1.5, 0.5, 2.0],
        [THIRD, *EMPTY],
    ]


def test_a_metric_without_a_value_has_the_value_over_no_rows(whole: Plan) -> None:
    assert answered(whole, [day(1, None, None, None, None)]) == [[FIRST, *EMPTY]]
    assert answered(whole, []) == [[FIRST, *EMPTY]]


def test_numbers_have_the_documented_type(whole: Plan) -> None:
    ((_, *values),) = answered(whole, [day(3, 3.0, 2, 1, 5)])
    assert [type(value) for value in values] == [int, float, float, float]


def test_the_bucket_of_granularity_all_starts_with_the_interval(whole: Plan) -> None:
    assert answered(whole, [day(3, 1, 1.0, 1.0, 1.0)])[0][0] == FIRST


def test_groups_keep_druids_order(by_scope: Plan) -> None:
    second, first = 1546387200000, 1546300800000
    assert answered(by_scope, [[second, "org", 2], [first, None, 1]]) == [[SECOND, "org", 2], [FIRST, None, 1]]
    assert answered(by_scope, []) == []


@pytest.mark.parametrize(
    "rows",
    [
        [None],
        [5],
        [[]],
        ["x"],
        [{}],
        [{"timestamp": "2019-01-01T00:00:00.000Z"}],
        [{"timestamp": "2019-01-01T00:00:00.000Z", "result": None}],
        [{"timestamp": "2019-01-01T00:00:00.000Z", "result": {"count": 1}}],
        [{**day(1, *EMPTY), "timestamp": 5}],
        [{**day(1, *EMPTY), "timestamp": None}],
        [{**day(1, *EMPTY), "timestamp": "yesterday"}],
        [day(1, "1", 1.0, 1.0, 1.0)],
        [day(1, 1, "1.0", 1.0, 1.0)],
        [day(1, 1, 1.0, bool("true"), 1.0)],
        [day(1, 1, 1.0, 1.0, "AQIDBA==")],
        [day(1, [1], 1.0, 1.0, 1.0)],
        [day(5, *EMPTY)],
        [day(2, *EMPTY), day(1, *EMPTY)],
        [day(1, *EMPTY), day(1, *EMPTY)],
        [{**day(1, *EMPTY), "timestamp": "2019-01-01T01:00:00.000Z"}],
    ],
    ids=repr,
)
def test_buckets_of_another_shape_are_rejected(by_day: Plan, rows: list[Any]) -> None:
    with pytest.raises(InvalidDruidResponse):
        answered(by_day, rows)


@pytest.mark.parametrize(
    "row",
    [None, 5, {}, [], ["org", 1], [1546300800000, "org", 1, 1], [1546300800000, "org", "1"], [5, "org", 1],
     [None, "org", 1], ["2019-01-01", "org", 1], [[], "org", 1], [{}, "org", 1], [1546300800000, "org", True],
     "abc", {1546300800000: 1, "org": 1, "count": 1}],
    ids=repr,
)  # fmt: skip
def test_groups_of_another_shape_are_rejected(by_scope: Plan, row: object) -> None:
    with pytest.raises(InvalidDruidResponse):
        answered(by_scope, [[1546300800000, "org", 1], row])


def test_two_rows_for_one_bucket_are_rejected(whole: Plan) -> None:
    with pytest.raises(InvalidDruidResponse):
        answered(whole, [day(1, *EMPTY), day(2, *EMPTY)])
    with pytest.raises(InvalidDruidResponse):
        answered(whole, [], [day(1, *EMPTY), day(2, *EMPTY)])


def test_labels_of_a_groupby_without_groups_are_checked(planner: Planner) -> None:
    planned = planner(
        {
            "interval": {"start": "2019-10-27", "end": "2019-10-28", "time_zone": "Europe/Helsinki"},
            "granularity": "six_hour",
            "aggregations": [{"type": "count"}],
        }
    )
    rows: list[object] = [[5, 1], ["x", 1], [None, 1], [1], {}]
    for row in rows:
        with pytest.raises(InvalidDruidResponse):
            answered(planned, [row])


def test_too_many_rows_are_rejected_before_any_is_made(by_scope: Plan) -> None:
    rows = [[1546300800000, "org", 1]] * (by_scope.row_limit + 1)
    with pytest.raises(LimitExceeded):
        respond(by_scope, {"report": Result(compile_report(by_scope), rows)})


def test_an_answer_can_be_read_more_than_once(by_day: Plan) -> None:
    answer = respond(by_day, {"report": Result(compile_report(by_day), [day(2, 3, 1.5, 0.5, 2.0)])})
    assert list(answer.slices()) == list(answer.slices())


@pytest.mark.parametrize("keys", [{"limit": 1}, {"having": [{"type": "lessThan", "metric": "count", "value": 0}]}])
def test_an_unexpected_bucket_is_rejected_even_if_it_would_not_be_in_the_answer(
    keys: dict[str, Any], planner: Planner
) -> None:
    planned = planner({"interval": DAYS, "granularity": "day", "aggregations": [{"type": "count"}], **keys})
    with pytest.raises(InvalidDruidResponse):
        answered(planned, [{"timestamp": "2019-01-05T00:00:00.000Z", "result": {"count": 1}}])


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", ["sales_sum", "sales_avg"])
def test_a_sum_that_is_not_finite_is_null_with_a_warning(text: str, name: str, by_day: Plan) -> None:
    raw = {"sales_sum": "_sum_sales_sum", "sales_avg": "_avg_sum_sales_avg"}[name]
    row = day(1, 2, 1.0, 1.0, 1.0)
    row["result"] |= {name: None, raw: text}
    *_, last = respond(by_day, {"report": Result(compile_report(by_day), [row])}).slices()
    assert last.rows[0][NAMES.index(name) + 1] is None
    assert [(each.code, each.pointer) for each in last.warnings] == [
        ("not_finite", f"/aggregations/{NAMES.index(name)}/fields/0")
    ]


def test_a_dimension_that_is_not_finite_is_null_with_a_warning(planner: Planner) -> None:
    planned = planner({"interval": DAYS, "group_by": ["scope", "sales"], "aggregations": [{"type": "count"}]})
    rows = [["NaN", 1.5, 1], ["org", "NaN", 2]]
    (only,) = respond(planned, {"report": Result(compile_report(planned), rows)}).slices()
    # "NaN" is a valid text.
    assert [row[1:] for row in only.rows] == [("NaN", 1.5, 1), ("org", None, 2)]
    assert [each.pointer for each in only.warnings] == ["/group_by/1"]


def test_a_dimension_without_its_metric_in_some_rows_is_an_error(planner: Planner) -> None:
    unique = [{"type": "hyperUnique", "fields": ["visitor_ids"]}]
    planned = planner({"interval": DAYS, "aggregations": unique}, uniques=Uniques.METRIC)
    row = {"timestamp": "2019-01-01T00:00:00.000Z", "result": {"visitor_ids_hyper_unique": 0.0, ROWS_WITHOUT_METRIC: 5}}
    with pytest.raises(DataUnavailable):
        answered(planned, [row])
    row["result"] = {"visitor_ids_hyper_unique": 3.0, ROWS_WITHOUT_METRIC: 0}
    assert answered(planned, [row]) == [[FIRST, 3.0]]


def test_one_row_that_lacks_the_column_hides_no_other(planner: Planner) -> None:
    unique = [{"type": "hyperUnique", "fields": ["visitor_ids"]}]
    planned = planner({"interval": DAYS, "granularity": "day", "aggregations": unique}, uniques=Uniques.METRIC)
    rows = [
        {"timestamp": "2019-01-01T00:00:00.000Z", "result": {"visitor_ids_hyper_unique": 1.0}},
        {"timestamp": "2019-01-02T00:00:00.000Z", "result": {"visitor_ids_hyper_unique": 0.0, ROWS_WITHOUT_METRIC: 5}},
    ]
    with pytest.raises(DataUnavailable):
        answered(planned, rows)


BY_SALES = {"interval": DAYS, "granularity": "day", "group_by": ["sales"], "aggregations": [{"type": "count"}]}
INFINITE: list[Any] = [None, "NaN", "Infinity", "-Infinity", 1.5]


def test_druids_group_of_negative_zero_is_not_lost_beside_that_of_zero(planner: Planner) -> None:
    planned = planner(BY_SALES | {"fill": True})
    first, second, _ = planned.buckets.labels  # type: ignore[union-attr]
    found = answered(planned, [[first, -0.0, 2], [first, 0.0, 3], [second, 0.0, 1]])
    assert sorted((str(row[1]), row[2]) for row in found if row[2]) == [("-0.0", 2), ("0.0", 1), ("0.0", 3)]
    assert {type(row[1]) for row in found} == {float}


def test_two_rows_for_one_group_are_rejected_rather_than_one_of_them_lost(planner: Planner) -> None:
    planned = planner(BY_SALES | {"fill": True, "interval": {"start": "1970-01-01", "end": "1970-01-02"}})
    with pytest.raises(InvalidDruidResponse):
        answered(planned, [[0, 1.5, 2]] * 2)


@pytest.mark.parametrize("descending", [False, True])
def test_groups_that_are_not_finite_stay_different_groups_when_they_are_filled(
    planner: Planner, *, descending: bool
) -> None:
    order = {"column": "sales", "direction": "descending" if descending else "ascending"}
    planned = planner(BY_SALES | {"fill": True, "order_by": [order]})
    rows = [[planned.buckets.labels[0], value, count] for count, value in enumerate(INFINITE, 1)]  # type: ignore[union-attr]
    found = answered(planned, rows)
    assert sorted(row[2] for row in found if row[1] is None and row[2]) == [1, 2, 3, 4]
    assert [row[2] for row in found if row[1] == 1.5 and row[2]] == [5]
    assert len(found) == 3 * len(INFINITE)


def test_groups_that_are_not_finite_are_compared_with_the_same_groups(planner: Planner) -> None:
    planned = planner(BY_SALES | {"compare": {"to": "previous_period"}})
    earlier = planned.earlier()
    assert planned.buckets is not None
    assert earlier.buckets is not None
    counts = range(1, len(INFINITE) + 1)
    queries = compile_queries(planned)
    results = {
        "report": Result(
            queries["report"], [[planned.buckets.labels[0], *each] for each in zip(INFINITE, counts, strict=True)]
        ),
        "comparison": Result(
            queries["comparison"], [[earlier.buckets.labels[0], *each] for each in zip(INFINITE, counts, strict=True)]
        ),
    }
    rows = [row for each in respond(planned, results).slices() for row in each.rows]
    assert sorted(row[-3:] for row in rows) == [(count, count, 0.0) for count in counts]


@pytest.mark.parametrize("value", INFINITE[1:4])
def test_a_group_of_top_that_no_filter_can_select_is_refused(planner: Planner, value: str) -> None:
    planned = planner(BY_SALES | {"top": {"groups": 2, "by": "count"}})
    assert planned.report.top is not None
    with pytest.raises(InvalidReport, match="not finite"):
        with_groups(planned, planned.report.top, compile_top(planned, planned.report.top), [[value, 3]])


def test_reports_without_unique_metrics_have_nothing_to_check(planner: Planner) -> None:
    body = {"interval": DAYS, "group_by": ["scope"], "aggregations": [{"type": "count"}]}
    assert answered(planner(body, uniques=Uniques.METRIC), [["org", 1]]) == [[FIRST, "org", 1]]


def test_a_limit_never_hides_rows_without_the_metric(planner: Planner) -> None:
    body = {
        "interval": DAYS,
        "group_by": ["scope"],
        "aggregations": [{"type": "hyperUnique", "fields": ["visitor_ids"]}],
        "having": [{"type": "greaterThan", "metric": "visitor_ids_hyper_unique", "value": 3}],
        "limit": 1,
    }
    native = compile_report(planner(body, uniques=Uniques.METRIC)).native
    assert native["limitSpec"]["columns"][0] == {
        "dimension": ROWS_WITHOUT_METRIC,
        "direction": "descending",
        "dimensionOrder": "numeric",
    }
    assert native["having"]["havingSpecs"][0] == {
        "type": "greaterThan",
        "aggregation": ROWS_WITHOUT_METRIC,
        "value": 0,
    }
    assert native["having"]["type"] == "or"


@pytest.mark.parametrize(("offset", "limit", "expected"), [(0, 1, [FIRST]), (1, 5, [SECOND, THIRD]), (3, 1, [])])
def test_the_gateway_skips_rows_that_druid_does_not_order(
    planner: Planner, offset: int, limit: int, expected: list[str]
) -> None:
    report = {"interval": DAYS, "granularity": "day", "aggregations": EVERY, "limit": limit, "offset": offset}
    assert [row[0] for row in answered(planner(report), [])] == expected
