from collections.abc import Callable

import pytest

from gateway.query.aggregations import Uniques
from gateway.query.limits import Limits
from gateway.query.literals import Json
from gateway.query.parse import parse
from gateway.query.plan import Plan, plan
from gateway.query.schema import ReportSchema, compile_schema
from tests.datasets import DATASETS, NOW
from tests.tenants import tenant_of

Planner = Callable[..., Plan]
"""Plans a body; takes `partner` and `uniques` by name."""


@pytest.fixture(scope="session")
def schema() -> ReportSchema:
    return compile_schema(DATASETS["chat_sessions"], Limits())


@pytest.fixture(scope="session")
def planner(schema: ReportSchema) -> Planner:
    def make(body: Json, *, partner: str | None = None, uniques: Uniques = Uniques.SKETCH, now: int = NOW) -> Plan:
        tenant = tenant_of(partner=partner)
        return plan(parse(body, schema), tenant, schema, uniques, now=now)

    return make
