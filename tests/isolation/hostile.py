"""Reports that are accepted and built to escape, the tenants who ask them, and the rows that they must not reach.

Whatever can be said about the tenant's columns is said: at the top of `filters`, deep within or and not, with null and
like '%', in aggregations, group_by, having and order_by, and with names that columns of Druid have.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from hypothesis import strategies as st

from gateway.catalog.model import TIME_PARTS, Kind
from tests.datasets import CHAT_SESSIONS
from tests.isolation.druid_filters import Row
from tests.tenants import tenant_of

ORGANIZATIONS = (
    "b0a1d32b-e82c-11e4-b081-6c4008adf7e8",
    "c7d0f6a4-1c5e-11e5-9f3c-6c4008adf7e8",
    "5d0c7a1e-7f0b-4b1e-8a55-0d9c5f0e2a11",
    "00000000-0000-4000-8000-000000000000",
)
TENANTS = tuple(
    tenant_of(owner, None if owner == other else other) for owner in ORGANIZATIONS for other in ORGANIZATIONS
)

DIMENSIONS = CHAT_SESSIONS.by_name
TENANT_COLUMNS = ("owner_organization_id", "chatted_organization_ids", "user_organization_id")
STRINGS = tuple(name for name, dimension in DIMENSIONS.items() if dimension.kind is Kind.STRING)
NUMBERS = tuple(name for name, dimension in DIMENSIONS.items() if dimension.kind is not Kind.STRING)
FREE = tuple(name for name in STRINGS if not DIMENSIONS[name].allowed)
TEXTS = (
    *ORGANIZATIONS, ORGANIZATIONS[0].upper(), "", " ", "null", "%", "*", "a", "z", "ÿ", "\U0010ffff", "\t",
    *(f"canary-{number}-{value}" for number in range(3) for value in range(3)),
    "' OR '1'='1", '"}]},{"type":"true"}', "owner_organization_id", "b0a1d32b%",
)  # fmt: skip
PATTERNS = ("%", "_%", "%%", "", "%-%", "b%", "canary%", "________-____-____-____-____________", "\\%", "!%%")
# Names of columns that Druid has, or that the gateway makes: whatever a caller calls a metric must not hide one.
NAMES = (
    "owner_organization_id", "involved_organization_ids", "time", "timestamp", "filter", "count", "rows", "tenant",
)  # fmt: skip
ROWS_A_WORLD = 20
WORLDS = 1_000

# Tenant columns as often as all the others together.
_text_dimension = st.sampled_from((*TENANT_COLUMNS, *FREE, *(TENANT_COLUMNS * 3)))
_dimension = st.one_of(_text_dimension, st.sampled_from((*STRINGS, *NUMBERS)))
_number = st.sampled_from((0, 1, -1, 2.5, "0", "-0", 2**53 - 1, -(2**53 - 1)))
_text = st.sampled_from(TEXTS)


def _value(dimension: str) -> st.SearchStrategy[Any]:
    allowed = DIMENSIONS[dimension].allowed
    return st.sampled_from(allowed) if allowed else _number if dimension in NUMBERS else _text


@st.composite
def _selector(draw: st.DrawFn) -> Mapping[str, Any]:
    dimension = draw(_dimension)
    return {"type": "selector", "dimension": dimension, "value": draw(st.none() | _value(dimension))}


@st.composite
def _in(draw: st.DrawFn) -> Mapping[str, Any]:
    dimension = draw(_dimension)
    values = draw(st.lists(st.none() | _value(dimension), min_size=1, max_size=5))
    return {"type": "in", "dimension": dimension, "values": values}


@st.composite
def _bound(draw: st.DrawFn) -> Mapping[str, Any]:
    dimension = draw(_dimension)
    value = _number if dimension in NUMBERS else _text
    sides = draw(st.sampled_from((("lower",), ("upper",), ("lower", "upper"))))
    body = {"type": "bound", "dimension": dimension}
    return body | {side: draw(value) for side in sides} | {f"{side}Strict": draw(st.booleans()) for side in sides}


_like = st.fixed_dictionaries(
    {"type": st.just("like"), "dimension": _text_dimension, "pattern": st.sampled_from(PATTERNS)}
)


def _compound(within: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(within, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("or"), "fields": several}),
        st.fixed_dictionaries({"type": st.just("not"), "field": within}),
        st.fixed_dictionaries({"type": st.just("and"), "fields": several}),
    )


filters = st.recursive(st.one_of(_selector(), _in(), _bound(), _like), _compound, max_leaves=8)


_compared_with = st.sampled_from(("previous_period", "previous_year"))


@st.composite
def reports(draw: st.DrawFn) -> dict[str, Any]:
    """A body that is accepted."""
    group_by = draw(st.lists(st.sampled_from((*TENANT_COLUMNS, *STRINGS, *NUMBERS)), max_size=3, unique=True))
    name = draw(st.sampled_from([name for name in NAMES if name not in group_by]))
    aggregations: list[dict[str, Any]] = [{"type": "count", "name": name}]
    if draw(st.booleans()):
        kind = draw(st.sampled_from(("sum", "avg", "hyperUnique")))
        fields = [draw(st.sampled_from(CHAT_SESSIONS.having_aggregation(kind)))]
        aggregations.append({"type": kind, "fields": fields, "filter": draw(filters)})
    body: dict[str, Any] = {
        "interval": {"start": "2019-01-01", "end": "2019-02-01", "time_zone": draw(_zone)},
        "granularity": draw(st.sampled_from(("all", "day", "week"))),
        "group_by": group_by,
        "aggregations": aggregations,
        "filters": draw(st.one_of(filters, st.lists(filters, max_size=2))),
    }
    if draw(st.booleans()):
        operands: st.SearchStrategy[str | int] = st.sampled_from((name, 1, 0, -1))
        read: list[str | int] = draw(st.lists(operands, min_size=2, max_size=3))
        body["post_aggregations"] = [{"type": "arithmetic", "name": "derived", "fn": "/", "fields": read}]
        body["compare"] = {"to": draw(_compared_with)}
    if draw(st.booleans()) and group_by:
        several = any(DIMENSIONS[each].multi_valued for each in group_by)
        other = bool(draw(st.booleans()))
        body["top"] = {"groups": draw(st.integers(1, 5)), "by": name, "other": other and not several}
        body["fill"] = body["granularity"] != "all"
    if draw(st.booleans()):
        body["having"] = [{"type": "greaterThanOrEqualTo", "metric": name, "value": 0}]
        body["order_by"] = [{"column": name, "direction": "descending"}]
        body["limit"] = draw(st.integers(1, 100))
        body["offset"] = draw(st.integers(0, 100))
        body["totals"] = draw(st.booleans())
    return body


def disguised(body: dict[str, Any], owner: str) -> Iterator[dict[str, Any]]:
    """Yield the body, and further reports that wrap its filters in something that all rows, or all foreign ones, match.

    Drawing a body takes ten times as long as judging it: this way most of the time is spent on judging.
    """
    given = body["filters"]
    one = {"type": "and", "fields": given} if isinstance(given, list) and given else given or EVERYONE
    own = {"type": "selector", "dimension": "owner_organization_id", "value": owner}
    no_owner = {"type": "selector", "dimension": "owner_organization_id", "value": None}
    listed = {"type": "in", "dimension": "owner_organization_id", "values": [*ORGANIZATIONS, None]}
    yield body
    for filters in (
        _not(one),
        _or(one, _not(one)),
        _or(one, no_owner),
        _or(one, listed),
        _not({"type": "and", "fields": [one, own]}),
        _not(_not(_or(one, EVERYONE))),
        [_or(one, _not(own)), _or(_not(one), EVERYONE)],
        _or(_not(own), _not(no_owner)),
    ):
        yield body | {"filters": filters}
    everywhere = [{"type": "count", "name": "everywhere", "filter": _or(one, _not(own))}]
    yield body | {"aggregations": [*body["aggregations"], *everywhere], "filters": []}


EVERYONE: Mapping[str, Any] = {"type": "like", "dimension": "owner_organization_id", "pattern": "%"}


def _not(field: Any) -> Mapping[str, Any]:
    return {"type": "not", "field": field}


def _or(*fields: Any) -> Mapping[str, Any]:
    return {"type": "or", "fields": list(fields)}


_zone = st.sampled_from(("UTC", "Europe/Helsinki", "Asia/Kolkata"))


TIMES: Mapping[str, int] = {"_hour_of_day": 13, "_day_of_week": 3, "_day_of_month": 15, "_month_of_year": 6}
"""The parts of every row's time, which are virtual columns."""


@lru_cache(maxsize=WORLDS)
def world(seed: int) -> Sequence[Row]:
    """Rows of every organization, and of none, with the values that the filters ask for."""
    random = Random(seed)
    return [_row(random) for _ in range(ROWS_A_WORLD)]


def _row(random: Random) -> Row:
    row: dict[str, Any] = {}
    for dimension in CHAT_SESSIONS.dimensions:
        name = dimension.name
        if name in TIME_PARTS:
            continue
        if random.random() < 0.25:
            row[name] = None
        elif name in NUMBERS:
            row[name] = random.choice((0, 1, -1, 2.5))
        elif dimension.multi_valued:
            row[name] = random.sample(TEXTS, random.randrange(4))
        else:
            row[name] = random.choice(dimension.allowed or TEXTS)
    row["owner_organization_id"] = random.choice((*ORGANIZATIONS * 3, None, "", ORGANIZATIONS[0].upper()))
    row["involved_organization_ids"] = random.choice((None, [], random.sample(ORGANIZATIONS, random.randrange(1, 4))))
    return row
