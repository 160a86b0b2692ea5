"""Queries use a dimension's column where Druid reads it, and its public name where the response shows it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.catalog.model import Dataset, Dimension, TenantColumns
from gateway.druid.tenant_guard import TenancyViolated, check_query, check_rows
from gateway.errors import Forbidden
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_report, compile_time_range, compile_totals
from gateway.query.limits import Limits
from gateway.query.literals import Json
from gateway.query.parse import parse
from gateway.query.plan import plan
from gateway.query.schema import compile_schema
from gateway.tenancy.tenant import Tenant
from tests.datasets import CHAT_SESSIONS, NOW
from tests.strategies import bodies
from tests.tenants import DOCUMENTED, PARTNER, tenant_of

PREFIX = "column of "
DRUIDS = {"dimension", "column", "fieldName"}
"""The keys under which a query names a column, outside `limitSpec` and `having`."""


def renamed(dimension: Dimension) -> Dimension:
    metric = None if dimension.unique_metric is None else f"{PREFIX}{dimension.unique_metric}"
    return replace(dimension, column=f"{PREFIX}{dimension.name}", unique_metric=metric)


RENAMED = replace(
    CHAT_SESSIONS,
    tenant=TenantColumns(f"{PREFIX}owner_organization_id", f"{PREFIX}involved_organization_ids"),
    dimensions=tuple(map(renamed, CHAT_SESSIONS.dimensions)),
)
WITHOUT_PARTNERS = replace(CHAT_SESSIONS, tenant=TenantColumns("owner_organization_id"))
SCHEMA = compile_schema(CHAT_SESSIONS, Limits())
COUNT: Json = {"interval": {"start": "2019-01-01", "end": "2019-01-02"}, "aggregations": [{"type": "count"}]}


def queries(body: Json, tenant: Tenant, dataset: Dataset, uniques: Uniques = Uniques.SKETCH) -> list[DruidQuery]:
    made = plan(parse(body, schema := replace(SCHEMA, dataset=dataset)), tenant, schema, uniques, now=NOW)
    return [compile_report(made), compile_totals(made), compile_time_range(tenant, dataset)]


def columns(native: Any) -> Iterator[str]:
    if isinstance(native, dict):
        for key, value in native.items():
            if key in DRUIDS and isinstance(value, str):
                yield value
            elif key not in ("limitSpec", "having"):
                yield from columns(value)
    elif isinstance(native, list):
        for each in native:
            yield from columns(each)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bodies(CHAT_SESSIONS), st.sampled_from([tenant_of(), tenant_of(partner=PARTNER)]), st.sampled_from(Uniques))
def test_other_columns_change_nothing_else(body: Json, tenant: Tenant, uniques: Uniques) -> None:
    pairs = zip(queries(body, tenant, CHAT_SESSIONS, uniques), queries(body, tenant, RENAMED, uniques), strict=True)
    for usual, other in pairs:
        check_query(other)
        assert json.loads(json.dumps(other.native).replace(PREFIX, "")) == json.loads(json.dumps(usual.native))
        assert other.columns == usual.columns
        named = {name for name in columns(other.native) if not name.startswith("_")}
        assert named - {"__time"} == {name for name in named if name.startswith(PREFIX)}


def test_hyper_unique_reads_the_sketch_if_no_metric_was_ingested() -> None:
    dimensions = tuple(replace(dimension, unique_metric=None) for dimension in RENAMED.dimensions)
    body = {**COUNT, "aggregations": [{"type": "hyperUnique", "fields": ["visitor_ids"]}]}
    query = queries(body, tenant_of(), replace(RENAMED, dimensions=dimensions), Uniques.METRIC)[0]
    assert query.native["aggregations"] == [
        {
            "type": "HLLSketchBuild",
            "name": "visitor_ids_hyper_unique",
            "fieldName": f"{PREFIX}visitor_ids",
            "lgK": 14,
            "round": True,
        }
    ]


def test_a_data_set_without_partner_column_is_for_owners_only() -> None:
    assert queries(COUNT, tenant_of(), WITHOUT_PARTNERS)
    with pytest.raises(Forbidden):
        queries(COUNT, tenant_of(partner=PARTNER), WITHOUT_PARTNERS)
    query = queries(COUNT, tenant_of(partner=PARTNER), CHAT_SESSIONS)[0]
    with pytest.raises(TenancyViolated):
        check_query(DruidQuery(query.native, query.tenant, WITHOUT_PARTNERS))


def test_rows_are_checked_by_the_owners_column_under_any_public_name() -> None:
    owner = "owner_organization_id"
    dimensions = [
        replace(each, name="customer") if each.name == owner else each
        for each in CHAT_SESSIONS.dimensions
        if each.name != "scope"
    ]
    # A dimension that is only called like the owner's column, and the owner's column under two names.
    dimensions += [Dimension(owner, "scope", "Not the owner."), Dimension("account", owner, "The owner again.")]
    dataset = replace(CHAT_SESSIONS, dimensions=tuple(dimensions))
    schema = compile_schema(dataset, Limits())
    body = {**COUNT, "group_by": [owner, "customer", "account"]}
    made = plan(parse(body, schema), tenant_of(), schema, Uniques.SKETCH, now=NOW)
    query = compile_report(made)
    check_rows(query, [["org", DOCUMENTED, DOCUMENTED, 1]])
    for row in (["org", PARTNER, DOCUMENTED, 1], ["org", DOCUMENTED, PARTNER, 1], ["org", DOCUMENTED, None, 1]):
        with pytest.raises(TenancyViolated):
            check_rows(query, [row])
