"""What a golden case is, and what the gateway makes of its request today.

A case is a folder. `request.json` is the body as it was sent, byte for byte. `case.json`, where there is one, says what
differs from a caller of the documented organization who asks for its own: `owner` (of this organization), `partner`
(asks for this one), `uniques`, `limits`, and `by_hand` (why its Druid rows were written and not recorded).

The rest is the outcome: `druid-query.json` and `druid-rows.json` (with `totals`, also `totals-query.json` and
`totals-rows.json`), `response.json` or `error.json`.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gateway.druid.tenant_guard import check_query, check_rows
from gateway.errors import GatewayError
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_report, compile_totals
from gateway.query.json_body import read_json
from gateway.query.parse import parse
from gateway.query.plan import Plan, plan
from gateway.query.report import Limits
from gateway.query.respond import respond
from gateway.query.schema import ReportSchema, compile_schema
from tests.datasets import DATASETS
from tests.tenants import DOCUMENTED, tenant_of

FOLDER = Path(__file__).parent
DATASET = DATASETS["chat_sessions"]
QUERY, ROWS, TOTALS_QUERY, TOTALS_ROWS = "druid-query.json", "druid-rows.json", "totals-query.json", "totals-rows.json"
RESPONSE, ERROR = "response.json", "error.json"
GIVEN = frozenset({"request.json", "case.json", ROWS, TOTALS_ROWS})
_WIDTH = 110


@cache
def _schema(limits: Limits) -> ReportSchema:
    return compile_schema(DATASET, limits)


@dataclass(frozen=True, slots=True)
class Case:
    """One folder below this one."""

    folder: Path

    @property
    def by_hand(self) -> bool:
        """Whether its Druid rows were written, because the sample data has none such."""
        return "by_hand" in self._conditions

    @property
    def _conditions(self) -> dict[str, Any]:
        path = self.folder / "case.json"
        conditions: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        assert conditions.keys() <= {"owner", "partner", "uniques", "limits", "by_hand"}, conditions
        return conditions

    def plan(self) -> Plan:
        """Read the request as the gateway does; raises what the gateway raises."""
        conditions = self._conditions
        limits = Limits(**conditions.get("limits", {}))
        report = parse(read_json((self.folder / "request.json").read_bytes()), _schema(limits))
        uniques = Uniques(conditions.get("uniques", "sketch"))
        tenant = tenant_of(conditions.get("owner", DOCUMENTED), conditions.get("partner"))
        return plan(report, tenant, DATASET, limits, uniques)

    def queries(self, planned: Plan) -> dict[str, DruidQuery]:
        """Return what Druid is asked, each query under the name of the file that holds its rows."""
        queries = {ROWS: compile_report(planned)}
        if planned.report.totals:
            queries[TOTALS_ROWS] = compile_totals(planned)
        return queries

    def outcome(self) -> dict[str, str]:
        """Return the text of every file that follows from the request and from Druid's rows, by its name."""
        outcome: dict[str, Any] = {}
        try:
            planned = self.plan()
            queries = self.queries(planned)
            rows = {}
            for name, query in queries.items():
                outcome[QUERY if name == ROWS else TOTALS_QUERY] = query.native
                check_query(query)
                rows[name] = json.loads((self.folder / name).read_text())
                check_rows(query, rows[name])
            answer = respond(planned, queries[ROWS], rows[ROWS], rows.get(TOTALS_ROWS))
            fields = [{"name": name, "type": kind} for name, kind in answer.fields]
            totals = {} if answer.totals is None else {"totals": answer.totals}
            outcome[RESPONSE] = {"fields": fields, "data": list(answer.rows), **totals}
        except GatewayError as error:
            errors = [{"pointer": problem.pointer, "message": problem.message} for problem in error.problems]
            outcome[ERROR] = {
                "status": error.status,
                "code": error.code,
                "detail": error.detail,
                **({"errors": errors} if errors else {}),
            }
        return {name: as_text(value) for name, value in outcome.items()}


CASES = tuple(Case(path.parent) for path in sorted(FOLDER.glob("*/request.json")))


def as_text(value: object) -> str:
    """Return JSON to be read and compared: whatever fits on a line stands on one."""
    return _indented(value, "") + "\n"


def _indented(value: object, margin: str) -> str:
    line = json.dumps(value, ensure_ascii=False)
    if len(margin) + len(line) <= _WIDTH or not isinstance(value, dict | list):
        return line
    inner = margin + "  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_indented(each, inner)}" for key, each in value.items()]
    else:
        items = [_indented(each, inner) for each in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(items) + f"\n{margin}{closing}"
