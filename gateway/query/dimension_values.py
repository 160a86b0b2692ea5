"""The values of a dimension, the most frequent first, for pickers of filters: a report of its own kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from pydruid.utils.filters import Filter as DruidFilter

from gateway.catalog.model import Dataset, Dimension, Kind
from gateway.errors import NotFound, Problem
from gateway.query.aggregations import Uniques
from gateway.query.compile import DruidQuery
from gateway.query.leaf_filters import native
from gateway.query.literals import LONGEST_STRING, Json
from gateway.query.parameters import invalid_parameters, wrong_names
from gateway.query.parse import parse
from gateway.query.plan import Plan, plan
from gateway.query.respond import Result, respond
from gateway.query.schema import ReportSchema
from gateway.query.validation_errors import Suggestions
from gateway.tenancy.tenant import Tenant

DEFAULT_LIMIT, MOST_VALUES = 100, 1_000

_INTERVAL = ("start", "end", "time_zone")
PARAMETERS = (*_INTERVAL, "search", "limit")


@dataclass(frozen=True, slots=True)
class Contains:
    """The dimension has a value that contains the text, in upper or lower case. Callers cannot write this filter."""

    value_keys: ClassVar = frozenset({"value"})

    dimension: Dimension
    text: str

    @staticmethod
    def schema(dataset: Dataset) -> Json:  # noqa: ARG004 - no report contains it
        return {}

    @classmethod
    def parse(cls, body: Json, dataset: Dataset) -> Self:
        return cls(dataset.by_name[body["dimension"]], body["value"])

    def to_json(self) -> Json:
        return {"type": "contains", "dimension": self.dimension.name, "value": self.text}

    def to_druid(self) -> DruidFilter:
        query = {"type": "insensitive_contains", "value": self.text}
        return native({"type": "search", "dimension": self.dimension.column, "query": query})


def plan_values(name: str, parameters: Mapping[str, str], tenant: Tenant, schema: ReportSchema, *, now: int) -> Plan:
    """Return the plan of the report that counts the rows of each value.

    Raises NotFound for a dimension that does not exist, InvalidReport for parameters that are wrong, LimitExceeded.
    """
    dimension = schema.dataset.columns.get(name)
    if dimension is None:
        names = list(schema.dataset.columns)
        raise NotFound(f"There is no dimension {name[:80]}{Suggestions().nearest(name, names)}.")
    search = parameters.get("search", "")
    problems = list(_problems(parameters, dimension, search))
    if problems:
        raise invalid_parameters(problems)
    body = {
        "interval": {key: parameters[key] for key in _INTERVAL if key in parameters},
        "group_by": [name],
        # A name that no dimension has.
        "aggregations": [{"type": "count", "name": f"rows_of_{name}"[:64]}],
        "order_by": [{"column": f"rows_of_{name}"[:64], "direction": "descending"}],
        "limit": int(parameters.get("limit", DEFAULT_LIMIT)),
    }
    # All of the rows, not only those of default filters: otherwise a picker could not offer the other values.
    report = replace(parse(body, schema), filter=None, defaults=())
    planned = plan(report, tenant, schema, Uniques.SKETCH, now=now)
    if not search:
        return planned
    # A row with a value that contains the text may have other values, too.
    value = replace(dimension, column=dimension.name)
    return replace(planned, groups=(Contains(dimension, search), Contains(value, search)))


def _problems(parameters: Mapping[str, str], dimension: Dimension, search: str) -> list[Problem]:
    limit, found = parameters.get("limit", str(DEFAULT_LIMIT)), [*wrong_names(parameters, PARAMETERS)]
    found += [Problem(f"/{key}", "is missing") for key in ("start", "end") if key not in parameters]
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 1 <= int(limit) <= MOST_VALUES):
        found.append(Problem("/limit", f"must be a whole number from 1 to {MOST_VALUES}"))
    if search and dimension.kind is not Kind.STRING:
        found.append(Problem("/search", f"is for strings, and {dimension.name} has numbers"))
    if len(search) > LONGEST_STRING:
        found.append(Problem("/search", f"must have at most {LONGEST_STRING} characters"))
    return found


def read_values(plan: Plan, query: DruidQuery, rows: Sequence[Any]) -> Json:
    """Return the values and the number of rows that have each."""
    answer = respond(plan, {"report": Result(query, rows)})
    return {"values": [row[1:] for each in answer.slices() for row in each.rows]}
