"""The second data set with a real Druid: every number is compared with a simple count over the ingested rows."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.catalog.model import Dataset
from gateway.query.aggregations import Uniques
from tests.datasets import VISITOR_SESSIONS
from tests.live.visitor_sessions.asking import EVER, START, Condition, Row, get, known
from tests.serving import D, Gateway, P

NAME = VISITOR_SESSIONS.name
HELSINKI = ZoneInfo("Europe/Helsinki")
NUMBERS = ("distinct_url_count", "duration", "page_view_count")
UNIQUES = ("chat_session_ids", "visitor_id")

MONTHS = ("2018-12", *(f"2019-{month:02}" for month in range(1, 13)), "2020-01")


@dataclass(frozen=True, slots=True)
class Asker:
    """A calling organization, the requested one, and the rows of this request."""

    organization: str
    caller: str
    rows: list[Row]


@pytest.fixture(params=["itself", "a smaller one itself", "its partner"])
def asker(request: pytest.FixtureRequest, rows: list[Row], organizations: list[str]) -> Asker:
    smaller = organizations[3]
    assert smaller not in (D, P)
    organization, caller = {"itself": (D, D), "a smaller one itself": (smaller, smaller), "its partner": (P, D)}[
        request.param
    ]
    seen = [row for row in rows if row["owner_organization_id"] == caller]
    if organization != caller:
        seen = [row for row in seen if organization in row["involved_organization_ids"]]
    assert 50 < len(seen) < len(rows)
    return Asker(organization, caller, seen)


def ask(served: Gateway, asker: Asker, **body: Any) -> list[list[Any]]:
    answer = served.post({"interval": EVER, **body}, organization=asker.organization, caller=asker.caller, dataset=NAME)
    return answer.data


def mean(rows: list[Row], column: str) -> Any:
    values = known(rows, column)
    return pytest.approx(sum(values) / len(values), rel=1e-9) if values else None


def different(rows: list[Row], column: str) -> int:
    values = [row[column] if isinstance(row[column], list) else [row[column]] for row in rows]
    return len({value for each in values for value in each})


def test_every_aggregation_equals_a_simple_count(served: Gateway, asker: Asker) -> None:
    answer = served.post(
        {
            "interval": EVER,
            "aggregations": [
                {"type": "count"},
                {"type": "sum", "fields": NUMBERS},
                {"type": "avg", "fields": NUMBERS},
                {"type": "hyperUnique", "fields": UNIQUES},
            ],
        },
        organization=asker.organization,
        caller=asker.caller,
        dataset=NAME,
    )

    [[start, count, *numbers]] = answer.data
    sums = [sum(known(asker.rows, column)) for column in NUMBERS]
    uniques = [different(asker.rows, column) for column in UNIQUES]
    assert (start, count) == (START, len(asker.rows))
    assert numbers[:3] == pytest.approx(sums, rel=1e-9)
    assert numbers[3:6] == [mean(asker.rows, column) for column in NUMBERS]
    assert numbers[6:] == pytest.approx(uniques, rel=0.02)
    assert [field["name"] for field in answer.json["fields"]] == [
        "start_time",
        "count",
        *(f"{column}_sum" for column in NUMBERS),
        *(f"{column}_avg" for column in NUMBERS),
        *(f"{column}_hyper_unique" for column in UNIQUES),
    ]


def test_unique_values_can_be_counted_by_the_metrics_of_the_spec(
    serve: Callable[..., Gateway], dataset: Dataset, asker: Asker
) -> None:
    served = serve(dataset, uniques=Uniques.METRIC)

    [[_, *numbers]] = ask(served, asker, aggregations=[{"type": "hyperUnique", "fields": UNIQUES}])

    # With 2,048 registers, the standard error is 2.3 %.
    assert numbers == pytest.approx([different(asker.rows, column) for column in UNIQUES], rel=0.1)


def test_groups_of_device_types_equal_a_simple_count(served: Gateway, asker: Asker) -> None:
    aggregations = [{"type": "count"}, {"type": "avg", "fields": ["duration"]}]

    found = ask(served, asker, group_by=["device_type"], aggregations=aggregations)

    groups = defaultdict(list)
    for row in asker.rows:
        groups[row["device_type"]].append(row)
    wanted = [
        [START, device, len(group), mean(group, "duration")]
        for device, group in sorted(groups.items(), key=lambda each: each[0] or "")
    ]
    assert found == wanted
    assert {"desktop", "tablet", "mobile"} <= groups.keys()


def test_a_row_counts_in_the_group_of_each_of_its_chat_sessions(served: Gateway, asker: Asker) -> None:
    found = ask(served, asker, group_by=["chat_session_ids"], aggregations=[{"type": "count"}])

    wanted = Counter(chat for row in asker.rows for chat in row["chat_session_ids"] or [None])
    assert [row[1] for row in found] == sorted(wanted, key=lambda chat: chat or "")
    assert {row[1]: row[2] for row in found} == wanted


def test_months_start_at_local_time(served: Gateway, asker: Asker) -> None:
    found = ask(served, asker, granularity="month", aggregations=[{"type": "sum", "fields": ["page_view_count"]}])

    wanted = Counter(dict.fromkeys(MONTHS, 0))
    for row in asker.rows:
        wanted[f"{datetime.fromisoformat(row['timestamp']).astimezone(HELSINKI):%Y-%m}"] += row["page_view_count"]
    assert [(start[:7], start[7:23], pages) for start, pages in found] == [
        (month, "-01T00:00:00.000", pages) for month, pages in wanted.items()
    ]


MOBILE = {"type": "selector", "dimension": "device_type", "value": "mobile"}
HELSINKI_CITY = {"type": "selector", "dimension": "city", "value": "Helsinki"}
FILTERS: list[tuple[Row, Condition]] = [
    (MOBILE, lambda row: row["device_type"] == "mobile"),
    ({"type": "selector", "dimension": "city", "value": None}, lambda row: row["city"] is None),
    ({"type": "selector", "dimension": "city", "value": "Jyväskylä"}, lambda row: row["city"] == "Jyväskylä"),
    ({"type": "selector", "dimension": "chat_session_ids", "value": None}, lambda row: not row["chat_session_ids"]),
    ({"type": "selector", "dimension": "page_view_count", "value": "1"}, lambda row: row["page_view_count"] == 1),
    ({"type": "selector", "dimension": "duration", "value": None}, lambda row: row["duration"] is None),
    (
        {"type": "in", "dimension": "country", "values": ["SE", "NO", None]},
        lambda row: row["country"] in ("SE", "NO", None),
    ),
    (
        {"type": "bound", "dimension": "duration", "lower": 60, "upper": 600.5, "upperStrict": True},
        lambda row: row["duration"] is not None and 60 <= row["duration"] < 600.5,
    ),
    (
        {"type": "bound", "dimension": "distinct_url_count", "lower": 5, "lowerStrict": True},
        lambda row: row["distinct_url_count"] > 5,
    ),
    (
        {"type": "like", "dimension": "browser_version", "pattern": "7_.%"},
        lambda row: (row["browser_version"] or "")[:1] == "7" and (row["browser_version"] or "")[2:3] == ".",
    ),
    ({"type": "not", "field": HELSINKI_CITY}, lambda row: row["city"] != "Helsinki"),
    (
        {
            "type": "or",
            "fields": [{"type": "and", "fields": [MOBILE, HELSINKI_CITY]}, {"type": "not", "field": MOBILE}],
        },
        lambda row: row["device_type"] != "mobile" or row["city"] == "Helsinki",
    ),
]


@pytest.mark.parametrize(("condition", "matches"), FILTERS, ids=[json.dumps(each) for each, _ in FILTERS])
def test_a_filter_selects_the_matching_rows(served: Gateway, asker: Asker, condition: Row, matches: Condition) -> None:
    aggregations = [{"type": "count"}, {"type": "sum", "fields": ["duration"]}]

    [[_, count, duration]] = ask(served, asker, aggregations=aggregations, filters=condition)

    left = [row for row in asker.rows if matches(row)]
    assert (count, duration) == (len(left), pytest.approx(sum(known(left, "duration")), rel=1e-9))


def test_a_filter_on_a_chat_session_finds_the_visit(served: Gateway, rows: list[Row]) -> None:
    row = next(row for row in rows if row["owner_organization_id"] == D and len(row["chat_session_ids"]) > 1)
    for chat in row["chat_session_ids"]:
        condition = {"type": "selector", "dimension": "chat_session_ids", "value": chat}
        found = ask(
            served, Asker(D, D, []), group_by=["visitor_id"], aggregations=[{"type": "count"}], filters=condition
        )
        assert found == [[START, row["visitor_id"], 1]]


def test_an_organization_that_is_not_a_partner_is_refused(served: Gateway, organizations: list[str]) -> None:
    body = {"interval": EVER, "aggregations": [{"type": "count"}]}
    assert served.post(body, organization=organizations[3], caller=D, dataset=NAME).status == 403
    assert served.post(body, organization=D, caller=P, dataset=NAME).status == 403


def test_the_description_has_the_time_of_the_organizations_own_rows(served: Gateway, rows: list[Row]) -> None:
    description = get(served, served.path(D, NAME)).json

    assert [each["name"] for each in description["dimensions"]] == list(VISITOR_SESSIONS.by_name)
    own = [row["timestamp"] for row in rows if row["owner_organization_id"] == D]
    told = [datetime.fromisoformat(description["time_range"][end]) for end in ("first", "last")]
    assert told == [datetime.fromisoformat(own[0]), datetime.fromisoformat(own[-1])]
