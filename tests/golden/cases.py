"""What a golden case is, and what the gateway produces from its request today.

A case is a folder. `request.json` is the body as it was sent, byte for byte. The optional `case.json` lists differences
from a caller of the documented organization who requests its own data: `owner` (the caller's organization), `partner`
(the requested organization), `uniques`, `limits`, and `by_hand` (why its Druid rows were written and not recorded).

The rest is the outcome: `druid-query.json` and `druid-rows.json` (with `totals`, also `totals-query.json` and
`totals-rows.json`), `response.json` or `error.json`.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gateway.druid.tenant_guard import check_query, check_rows
from gateway.errors import GatewayError
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_report, compile_totals
from gateway.query.json_body import read_json
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import Plan, plan
from gateway.query.respond import Answer, respond
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
        """Whether its Druid rows were written by hand, because the sample data has no such rows."""
        return "by_hand" in self._conditions

    @property
    def _conditions(self) -> dict[str, Any]:
        path = self.folder / "case.json"
        conditions: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        assert conditions.keys() <= {"owner", "partner", "uniques", "limits", "by_hand"}, conditions
        return conditions

    def plan(self) -> Plan:
        """Read the request as the gateway does, with the same errors."""
        conditions = self._conditions
        limits = Limits(**conditions.get("limits", {}))
        report = parse(read_json((self.folder / "request.json").read_bytes()), _schema(limits))
        uniques = Uniques(conditions.get("uniques", "sketch"))
        tenant = tenant_of(conditions.get("owner", DOCUMENTED), conditions.get("partner"))
        return plan(report, tenant, DATASET, limits, uniques)

    def queries(self, planned: Plan) -> dict[str, DruidQuery]:
        """Return the queries for Druid, each under the name of the file that contains its rows."""
        queries = {ROWS: compile_report(planned)}
        if planned.report.totals:
            queries[TOTALS_ROWS] = compile_totals(planned)
        return queries

    def outcome(self) -> dict[str, str]:
        """Return the text of every file that the request and Druid's rows determine, by its name."""
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
            outcome[RESPONSE] = _response(respond(planned, queries[ROWS], rows[ROWS], rows.get(TOTALS_ROWS)))
        except GatewayError as error:
            errors = [{"pointer": problem.pointer, "message": problem.message} for problem in error.problems]
            outcome[ERROR] = {
                "status": error.status,
                "code": error.code,
                "detail": error.detail,
                **({"errors": errors} if errors else {}),
            }
        return {name: as_text(value) for name, value in outcome.items()}


def _response(answer: Answer) -> dict[str, Any]:
    slices = [*answer.slices(), *([] if answer.totals is None else [answer.totals])]
    warnings = [asdict(each) for each in dict.fromkeys(warning for each in slices for warning in each.warnings)]
    response: dict[str, Any] = {
        "fields": [{"name": column.name, "type": column.kind} for column in answer.columns],
        "data": [row for each in answer.slices() for row in each.rows],
    }
    if answer.totals is not None:
        [response["totals"]] = answer.totals.rows
    return response | ({"warnings": warnings} if warnings else {})


CASES = tuple(Case(path.parent) for path in sorted(FOLDER.glob("*/request.json")))


def as_text(value: object) -> str:
    """Return JSON for reading and comparing: every value that fits on one line is on one line."""
    return _indented(value, "") + "\n"


def _indented(value: object, margin: str) -> str:
    line = json.dumps(value, ensure_ascii=False)
    if len(margin) + len(line) <= _WIDTH or not isinstance(value, dict | list | tuple):
        return line
    inner = margin + "  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_indented(each, inner)}" for key, each in value.items()]
    else:
        items = [_indented(each, inner) for each in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(items) + f"\n{margin}{closing}"
