"""What a golden case is, and what the gateway produces from its request today.

A case is a folder. `request.json` is the body as it was sent, byte for byte. The optional `case.json` lists differences
from a caller of the documented organization who requests its own data: `owner` (the caller's organization), `partner`
(the requested organization), `uniques`, `limits`, `now` (milliseconds), and `by_hand` (why its Druid rows were written
and not recorded).

The rest is the outcome: `response.json` or `error.json`, and each of Druid's queries with its rows: `druid-query.json`
and `druid-rows.json` of the query for the report, `totals-query.json` and `totals-rows.json` of the one for its totals,
and so on.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gateway.druid.tenant_guard import check_query, check_rows
from gateway.errors import GatewayError
from gateway.query.advice import advice
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery, compile_queries
from gateway.query.freshness import freshness
from gateway.query.json_body import read_json
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import Plan, plan
from gateway.query.respond import Answer, Result, respond
from gateway.query.schema import ReportSchema, compile_schema
from gateway.query.top import compile_top, with_groups
from tests.datasets import DATASETS, NOW
from tests.tenants import DOCUMENTED, tenant_of

FOLDER = Path(__file__).parent
DATASET = DATASETS["chat_sessions"]
NAMES = ("report", "comparison", "totals", "top", "other", "other_comparison")
"""The names of the queries that a report can have."""
RESPONSE, ERROR = "response.json", "error.json"
_WIDTH = 110


Ask = Callable[[str, DruidQuery], Any]
"""Returns Druid's rows for the query with this name."""


def rows_file(name: str) -> str:
    """Return the name of the file with Druid's rows for a query."""
    return "druid-rows.json" if name == "report" else f"{name}-rows.json"


def _query_file(name: str) -> str:
    return "druid-query.json" if name == "report" else f"{name}-query.json"


GIVEN = frozenset({"request.json", "case.json", *map(rows_file, NAMES)})


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
        assert conditions.keys() <= {"owner", "partner", "uniques", "limits", "now", "by_hand"}, conditions
        return conditions

    def plan(self) -> Plan:
        """Read the request as the gateway does, with the same errors."""
        conditions = self._conditions
        limits = Limits(**conditions.get("limits", {}))
        report = parse(read_json((self.folder / "request.json").read_bytes()), _schema(limits))
        uniques = Uniques(conditions.get("uniques", "sketch"))
        tenant = tenant_of(conditions.get("owner", DOCUMENTED), conditions.get("partner"))
        return plan(report, tenant, _schema(limits), uniques, now=self.now)

    @property
    def now(self) -> int:
        """The time of the request."""
        moment: int = self._conditions.get("now", NOW)
        return moment

    def steps(self, planned: Plan, ask: Ask) -> tuple[Plan, dict[str, Result]]:
        """Return the plan with the groups of `top`, and the queries with Druid's rows, as the gateway gets them."""
        results: dict[str, Result] = {}
        if (top := planned.report.top) is not None:
            query = compile_top(planned, top)
            results["top"] = Result(query, ask("top", query))
            planned = with_groups(planned, top, query, results["top"].rows)
        for name, query in compile_queries(planned).items():
            results[name] = Result(query, ask(name, query))
        return planned, results

    def stored_rows(self, name: str, query: DruidQuery) -> Any:
        """Return the recorded rows of a query that the guard accepts."""
        check_query(query)
        rows = json.loads((self.folder / rows_file(name)).read_text())
        check_rows(query, rows)
        return rows

    def outcome(self) -> dict[str, str]:
        """Return the text of every file that the request and Druid's rows determine, by its name."""
        outcome: dict[str, Any] = {}
        try:
            planned, results = self.steps(self.plan(), self.stored_rows)
            outcome |= {_query_file(name): result.query.native for name, result in results.items()}
            fresh = freshness(planned, self.now, []) if planned.report.freshness else None
            outcome[RESPONSE] = _response(respond(planned, results, advice(planned, self.now), fresh))
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
    slices = [*answer.slices()]
    others = [*answer.other_slices()] if answer.has_other else []
    warnings = dict.fromkeys(warning for each in [*slices, *others] for warning in each.warnings)
    members = answer.members(warnings)
    if answer.has_other:
        members["other"] = [row for each in others for row in each.rows]
    if "warnings" in members:
        members["warnings"] = [asdict(each) for each in members["warnings"]]
    return {
        "fields": [{"name": column.name, "type": column.kind} for column in answer.columns],
        "data": [row for each in slices for row in each.rows],
        **members,
    }


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
