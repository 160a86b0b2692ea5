import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.catalog.model import TIME_PARTS, Dataset
from gateway.druid.tenant_guard import check_query
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_report, compile_time_range, compile_totals
from gateway.query.group_selection import LABEL
from gateway.query.limits import Limits
from gateway.query.literals import Json
from gateway.query.parse import parse
from gateway.query.plan import Plan, plan
from gateway.query.schema import compile_schema
from tests.datasets import DATASETS, NOW
from tests.strategies import bodies
from tests.tenants import DOCUMENTED, PARTNER, tenant_of
from tests.unit.query.conftest import Planner

DAY = {"start": "2019-01-01", "end": "2019-01-02"}
SCHEMAS = {name: compile_schema(dataset, Limits()) for name, dataset in DATASETS.items()}
TENANTS = [tenant_of(), tenant_of(partner=PARTNER), tenant_of(PARTNER), tenant_of(PARTNER, DOCUMENTED)]
ASKED = st.sampled_from(sorted(DATASETS)).flatmap(
    lambda name: st.tuples(st.just(name), bodies(DATASETS[name]), st.sampled_from(TENANTS), st.sampled_from(Uniques))
)
Asked = tuple[str, Json, Any, Uniques]

# Bodies are large, so drawing them is slow.
many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

OF_TIME = {dimension.column for dimension in TIME_PARTS.values()}


def planned(asked: Asked) -> Plan:
    name, body, tenant, uniques = asked
    schema = SCHEMAS[name]
    return plan(parse(body, schema), tenant, schema, uniques, now=NOW)


def queries(made: Plan) -> list[DruidQuery]:
    return [compile_report(made), compile_totals(made), compile_time_range(made.tenant, made.dataset)]


def tenants_filters(made: Plan) -> list[Json]:
    """Return the expected first filters, independently of the compiler."""
    filters = [("owner_organization_id", made.tenant.owner_organization_id)]
    if made.tenant.involved_organization_id:
        filters.append(("involved_organization_ids", made.tenant.involved_organization_id))
    return [{"type": "selector", "dimension": column, "value": value} for column, value in filters]


@many
@given(ASKED)
def test_the_outermost_filter_always_starts_with_the_tenants(asked: Asked) -> None:
    made = planned(asked)
    for query in queries(made):
        outermost = query.native["filter"]
        wanted = tenants_filters(made)
        assert outermost.keys() == {"type", "fields"}
        assert outermost["type"] == "and"
        assert outermost["fields"][: len(wanted)] == wanted
        # The caller's filter is a single one after the tenant's, and no virtual column hides the owner's column.
        assert len(outermost["fields"]) <= len(wanted) + 1
        assert {each["name"] for each in query.native.get("virtualColumns", ())} <= {LABEL, *OF_TIME}
        assert query.native["dataSource"] == made.dataset.data_source
        check_query(query)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _objects(child)


@many
@given(ASKED)
def test_two_compilations_are_equal_and_share_nothing(asked: Asked) -> None:
    made = planned(asked)
    first, second = compile_report(made), compile_report(made)
    assert first == second
    before = json.dumps(first.native)
    # Modifying one query changes neither the other nor any later one.
    for each in list(_objects(second.native)):
        each.clear()
    assert json.dumps(first.native) == json.dumps(compile_report(made).native) == before


@many
@given(ASKED)
def test_every_name_in_a_query_is_unique(asked: Asked) -> None:
    for query in queries(planned(asked)):
        outputs = [each["outputName"] for each in query.native.get("dimensions", ())]
        names = [_name(each) for each in query.native["aggregations"]]
        names += [each["name"] for each in query.native.get("postAggregations", ())]
        assert len({*outputs, *names}) == len(outputs) + len(names)
        if query.native["queryType"] == "groupBy":
            assert list(query.columns) == [*outputs, *names]


def _name(aggregator: Json) -> str:
    while aggregator["type"] == "filtered":
        aggregator = aggregator["aggregator"]
    name: str = aggregator["name"]
    return name


@many
@given(ASKED)
def test_a_query_is_json_and_no_expression_contains_text_of_the_caller(asked: Asked) -> None:
    made = planned(asked)
    columns = {metric.name for metric in made.report.metrics}
    for query in queries(made):
        assert json.loads(json.dumps(query.native, allow_nan=False)) == query.native
        for each in _objects(query.native):
            if "expression" in each and each["name"] not in {LABEL, *OF_TIME}:
                assert each["name"] in columns


@many
@given(ASKED)
def test_the_canonical_report_compiles_to_the_same_query(asked: Asked) -> None:
    """The report that explain returns is itself a valid body with the same meaning."""
    name, _, tenant, uniques = asked
    made = planned(asked)
    shown = made.report.to_json()["interval"]
    # Offsets of local mean time, in the oldest years, have seconds, which ISO 8601 cannot express.
    assume(all(len(shown[end]) == len("2019-01-01T00:00:00.000+02:00") for end in ("start", "end")))
    again = planned((name, json.loads(json.dumps(made.report.to_json())), tenant, uniques))
    assert again.report.to_json() == made.report.to_json()
    assert compile_report(again).native == compile_report(made).native


def test_names_of_the_caller_never_collide_with_the_gateways_columns(planner: Planner) -> None:
    native = compile_report(
        planner(
            {
                "interval": DAY,
                "aggregations": [
                    {"type": "sum", "fields": ["order_count"], "name": "x_sum"},
                    {"type": "avg", "fields": ["sales"], "name": "x"},
                ],
            }
        )
    ).native
    assert [_name(each) for each in native["aggregations"]] == ["_sum_x_sum", "_avg_sum_x", "_avg_rows_x"]


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_a_dimension_is_grouped_by_its_own_type(dataset: Dataset) -> None:
    for dimension in dataset.dimensions:
        body = {"interval": DAY, "aggregations": [{"type": "count"}], "group_by": [dimension.name]}
        made = planned((dataset.name, body, TENANTS[0], Uniques.SKETCH))
        (spec,) = compile_report(made).native["dimensions"]
        assert (spec["dimension"], spec["outputType"]) == (dimension.name, dimension.kind.value)


def test_of_two_orders_by_one_column_the_first_decides(planner: Planner) -> None:
    up, down = ({"column": "count", "direction": direction} for direction in ("ascending", "descending"))
    report = {"interval": DAY, "group_by": ["scope"], "aggregations": [{"type": "count"}]}
    for orders in ([up], [down], [up, down], [down, up]):
        columns = compile_report(planner(report | {"order_by": orders})).native["limitSpec"]["columns"]
        assert [each["direction"] for each in columns] == [orders[0]["direction"], "ascending"]


def test_the_version_of_a_page_does_not_depend_on_its_limit(planner: Planner) -> None:
    """Druid's ETag includes what the historicals apply."""
    report = {"interval": DAY, "group_by": ["scope"], "aggregations": [{"type": "count"}], "limit": 5}
    pages = [compile_report(planner(report | {"offset": offset})).native for offset in (0, 5)]
    assert [page["context"]["applyLimitPushDown"] for page in pages] == [False, False]
    assert [page["limitSpec"] for page in pages] == [
        {"type": "default", "limit": 5},
        {"type": "default", "limit": 5, "offset": 5},
    ]
    assert "applyLimitPushDown" not in compile_report(planner(report)).native["context"]


def test_the_queries_of_pages_that_the_gateway_arranges_are_the_same(planner: Planner) -> None:
    day = {"interval": DAY, "granularity": "hour", "aggregations": [{"type": "count"}], "limit": 5}
    filled = day | {"group_by": ["scope"], "fill": True}
    compared = day | {"group_by": ["scope"], "compare": {"to": "previous_period"}}
    for report in (day, filled, compared):
        first, second = (compile_report(planner(report | {"offset": offset})).native for offset in (0, 5))
        assert first == second


def test_the_smallest_quantile_has_one_name(planner: Planner) -> None:
    for fraction in (0, 0.0, -0.0):
        metric = {"type": "quantile", "fields": ["sales"], "fraction": fraction}
        planned = planner({"interval": DAY, "aggregations": [metric]})
        assert [each.name for each in planned.report.metrics] == ["sales_p0"]


@pytest.mark.parametrize("value", [0, 0.0, -0.0])
def test_every_zero_is_sent_as_the_number_that_druid_finds_equal_to_both_zeros(planner: Planner, value: float) -> None:
    body = {
        "interval": {"start": "2019-01-01", "end": "2019-01-02"},
        "group_by": ["scope"],
        "aggregations": [{"type": "sum", "fields": ["sales"]}],
        "having": [{"type": "lessThan", "metric": "sales_sum", "value": value}],
    }
    assert orjson.dumps(compile_report(planner(body)).native["having"]["havingSpecs"][0]["value"]) == b"0"
