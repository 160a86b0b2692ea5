"""Reports at any time of the request: relative intervals, and comparisons of intervals that are not over.

The clock of a running gateway is years after the last row. So these reports pass the stages of the pipeline here, at a
time that is drawn, and its queries go to Druid as they are.
"""

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gateway.druid.tenant_guard import check_query, check_rows
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_queries
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import plan
from gateway.query.respond import Result, respond
from gateway.query.schema import ReportSchema, compile_schema
from gateway.query.top import compile_top, with_groups
from gateway.tenancy.tenant import Tenant
from tests.conftest import Data as Rows
from tests.conftest import Druid
from tests.oracle.answering import MOST_ROWS
from tests.oracle.disagreement import SKETCH, disagreements
from tests.oracle.odd_rows import FIRST, LAST
from tests.oracle.oracle import Oracle
from tests.oracle.reports import Data, reports
from tests.serving import D, P
from tests.tenants import tenant_of

REPORTS: Final = 60
TENANTS: Final[Mapping[str, tuple[str, str | None]]] = {"D": (D, None), "P": (P, None), "D for its partner P": (D, P)}


def test_the_pipeline_and_the_oracle_agree_at_any_time(oracle: Oracle, proven: Rows, druid: Druid) -> None:
    data, schema = Data.of(oracle), compile_schema(proven.dataset, Limits())

    @seed(0)
    @settings(
        max_examples=REPORTS,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        now=st.sampled_from(data.moments) | st.integers(FIRST, LAST),
        body=reports(data, real_time=False),
        who=st.sampled_from(sorted(TENANTS)),
    )
    def agree(now: int, body: dict[str, Any], who: str) -> None:
        owner, involved = TENANTS[who]
        expected = oracle.answer(body, owner=owner, involved=involved, now=now)
        if len(expected.candidates) > MOST_ROWS or expected.buckets > 45_000:
            return
        found = list(
            disagreements(body, expected, _answer(body, tenant_of(owner, involved), schema, now, druid), SKETCH)
        )
        assert not found, f"{who} at {now}: {json.dumps(body)}\n" + "\n".join(found[:10])

    agree()


def _answer(body: object, tenant: Tenant, schema: ReportSchema, now: int, druid: Druid) -> Any:
    def result(query: DruidQuery) -> Result:
        check_query(query)
        request = urllib.request.Request(
            f"{druid.broker_url}/druid/v2", json.dumps(query.native).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            rows = json.load(response)
        check_rows(query, rows)
        return Result(query, rows)

    planned = plan(parse(body, schema), tenant, schema, Uniques.SKETCH, now=now)
    if (top := planned.report.top) is not None:
        found = result(compile_top(planned, top))
        planned = with_groups(planned, top, found.query, found.rows)
    answer = respond(planned, {name: result(query) for name, query in compile_queries(planned).items()})
    rows = [row for each in answer.slices() for row in each.rows]
    members = answer.members({})
    if answer.has_other:
        members["other"] = [row for each in answer.other_slices() for row in each.rows]
    warnings = [asdict(each) for each in members.pop("warnings", [])]
    fields = [{"name": column.name, "type": column.kind} for column in answer.columns]
    return json.loads(json.dumps({"fields": fields, "data": rows, "warnings": warnings, **members}))
