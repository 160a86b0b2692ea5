"""Whatever an accepted report says, the query that is made of it matches no row of another organization.

A small run with the other tests; `EXHAUSTIVE=1 pytest tests/isolation` makes it 100,000 reports.
"""

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydruid.utils.filters import Filter

from gateway.druid.tenant_guard import check_query
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_queries
from gateway.query.filters import parse_filter
from gateway.query.json_body import read_json
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import plan
from gateway.query.schema import compile_schema
from gateway.query.top import compile_top, with_groups
from gateway.tenancy.tenant import Tenant
from tests.datasets import CHAT_SESSIONS, NOW
from tests.isolation.druid_filters import Row, matches
from tests.isolation.hostile import NUMBERS, TENANTS, TIMES, WORLDS, disguised, filters, reports, world

# Each makes ten reports: see disguised.
EXAMPLES_A_ROUND = 200
SCHEMA = compile_schema(CHAT_SESSIONS, Limits())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "round_" in metafunc.fixturenames:
        metafunc.parametrize("round_", range(50 if "EXHAUSTIVE" in os.environ else 1))


def is_of(tenant: Tenant, row: Row) -> bool:
    """Whether the tenant may see the row, implemented independently from the public contract."""
    if row["owner_organization_id"] != tenant.owner_organization_id:
        return False
    involved = row["involved_organization_ids"]
    return tenant.involved_organization_id is None or (
        isinstance(involved, list) and tenant.involved_organization_id in involved
    )


def queries(body: dict[str, Any], tenant: Tenant) -> list[DruidQuery]:
    """Return every query of a report. For its `top`, Druid finds a group of nulls and one of foreign values."""
    planned = plan(parse(read_json(json.dumps(body).encode()), SCHEMA), tenant, SCHEMA, Uniques.SKETCH, now=NOW)
    found = []
    if (top := planned.report.top) is not None:
        query = compile_top(planned, top)
        found.append(query)
        names = [dimension["outputName"] for dimension in query.native["dimensions"]]
        groups: list[dict[str, Any]] = [
            dict.fromkeys(names),
            {name: 1 if name in NUMBERS else f"canary-{name}" for name in names},
        ]
        numbers: dict[str, Any] = dict.fromkeys(query.columns, 1)
        rows = [[{**numbers, **group}.get(name) for name in query.columns] for group in groups[: top.groups]]
        planned = with_groups(planned, top, query, rows)
    return [*found, *compile_queries(planned).values()]


def test_no_accepted_report_matches_a_foreign_row(round_: int) -> None:
    judged = {"reports": 0, "own rows": 0, "foreign rows": 0}

    @seed(round_)
    @settings(
        max_examples=EXAMPLES_A_ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(reports(), st.sampled_from(TENANTS), st.integers(0, WORLDS - 1))
    def judge(drawn: dict[str, Any], tenant: Tenant, rows: int) -> None:
        foreign = [not is_of(tenant, row) for row in world(rows)]
        for body in disguised(drawn, tenant.owner_organization_id):
            for query in queries(body, tenant):
                check_query(query)
                names = {column["name"] for column in query.native.get("virtualColumns", ())}
                assert not names & world(rows)[0].keys(), "a virtual column stands in for a real one"
                for row, is_foreign in zip(world(rows), foreign, strict=True):
                    matched = matches(query.native["filter"], {**row, **TIMES})
                    assert not (matched and is_foreign), row
                    judged["own rows"] += matched
                    judged["foreign rows"] += is_foreign
            judged["reports"] += 1

    judge()
    assert judged["reports"] >= 10 * EXAMPLES_A_ROUND
    # A judge who sees nothing pass has judged nothing.
    assert judged["own rows"] > judged["reports"]
    assert judged["foreign rows"] > 10 * judged["reports"]


def test_the_judge_would_see_an_escape() -> None:
    """The same filters without the tenant's do match foreign rows: nearly all of them."""
    escaped = 0

    @seed(0)
    @settings(max_examples=300, deadline=None, database=None, phases=[Phase.generate])
    @given(filters, st.sampled_from(TENANTS), st.integers(0, WORLDS - 1))
    def judge(body: dict[str, Any], tenant: Tenant, rows: int) -> None:
        nonlocal escaped
        native = native_of(body)
        escaped += any(matches(native, {**row, **TIMES}) and not is_of(tenant, row) for row in world(rows))

    judge()
    assert escaped > 200


def native_of(body: dict[str, Any]) -> dict[str, Any]:
    native: dict[str, Any] = Filter.build_filter(parse_filter(body, CHAT_SESSIONS).to_druid())
    return native
