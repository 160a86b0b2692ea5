"""The second data set with a real Druid: every number is compared with a simple count over the ingested rows.

It also shows that a data set needs only its file, from which everything else follows.
"""

import asyncio
import http.client
import json
import secrets
import subprocess
import sys
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from gateway.catalog.load import EXAMPLES, load_catalog
from gateway.catalog.model import Dataset
from gateway.ingest import DruidUrls, ingest, parse
from gateway.query.aggregations import Uniques
from tests.datasets import DATASETS, VISITOR_SESSIONS
from tests.serving import Answer, D, Gateway, P, serving_aside, settings_for

SPECS = Path(__file__).parents[2] / "ingestion-specs"
NAME = VISITOR_SESSIONS.name
HELSINKI = ZoneInfo("Europe/Helsinki")
NUMBERS = ("distinct_url_count", "duration", "page_view_count")
UNIQUES = ("chat_session_ids", "visitor_id")
EVER = {"start": "2018-12-01T00:00:00", "end": "2020-02-01T00:00:00", "time_zone": "Europe/Helsinki"}
START = "2018-12-01T00:00:00.000+02:00"

MONTHS = ("2018-12", *(f"2019-{month:02}" for month in range(1, 13)), "2020-01")

Row = dict[str, Any]
Json = dict[str, Any]
Condition = Callable[[Row], bool]


class Urls(Protocol):
    @property
    def broker_url(self) -> str: ...

    @property
    def coordinator_url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Asker:
    """A calling organization, the requested one, and the rows of this request."""

    organization: str
    caller: str
    rows: list[Row]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("visitor_sessions") / "rows.jsonl"
    program = SPECS / "samples" / "visitor_sessions.py"
    arguments = ("--sessions", "8000", "--organizations", "6", "--out", made)
    subprocess.run([sys.executable, program, *arguments], check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def rows(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def dataset(druid: Urls, file: Path) -> Iterator[Dataset]:
    """The catalog's data set on a new data source with the rows of the file."""
    spec = parse("visitor_sessions.json", (SPECS / "visitor_sessions.json").read_text(), DATASETS, brings_files=True)
    cluster = DruidUrls.parse(overlord=druid.coordinator_url, broker=druid.broker_url)
    data_source = f"test_visitor_sessions_{secrets.token_hex(4)}"
    asyncio.run(ingest(spec, cluster, files=[file], data_source=data_source))
    yield replace(VISITOR_SESSIONS, data_source=data_source)
    url = f"{druid.coordinator_url}/druid/coordinator/v1/datasources/{data_source}"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()


@pytest.fixture(scope="module")
def organizations(rows: list[Row]) -> list[str]:
    """The organizations, the largest first."""
    return [owner for owner, _ in Counter(row["owner_organization_id"] for row in rows).most_common()]


@pytest.fixture(scope="module")
def serve(
    druid: Urls, organizations: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Gateway]]:
    with ExitStack() as stack:

        def start(*datasets: Dataset, **changes: Any) -> Gateway:
            settings = settings_for(tmp_path_factory.mktemp("accounts"), druid.broker_url, **changes)
            return stack.enter_context(serving_aside(settings, organizations=organizations, datasets=datasets))

        yield start


@pytest.fixture(scope="module")
def served(serve: Callable[..., Gateway], dataset: Dataset) -> Gateway:
    return serve(dataset)


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


def get(served: Gateway, path: str) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
    try:
        connection.request("GET", path, headers={"Authorization": f"Token {served.tokens[D]}"})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def known(rows: list[Row], column: str) -> list[float]:
    return [row[column] for row in rows if row[column] is not None]


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


MADE_UP = """
name: stays
title: Stays
description: One row for each stay.
data_source: {data_source}
tenant:
  column: owner_organization_id
dimensions:
  - {{name: device, column: device_type, description: The device., values: [desktop, tablet, mobile]}}
  - {{name: seconds, column: duration, type: double, description: Seconds., aggregations: [sum]}}
  - {{name: visitor, column: visitor_id, description: The visitor., aggregations: [hyperUnique]}}
  - {{name: pages, column: page_view_count, type: long, description: Pages., aggregations: [hyperUnique, avg]}}
  - {{name: browser, column: browser_name, description: The browser.}}
  - {{name: customer, column: owner_organization_id, description: The customer.}}
advice:
  - {{dimension: device, message: devices are mixed}}
"""
PUBLIC_NAMES = ["device", "seconds", "visitor", "pages", "browser", "customer"]


@pytest.fixture(scope="module")
def stays(serve: Callable[..., Gateway], dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """A gateway with one additional data set file, which renames every column."""
    file = tmp_path_factory.mktemp("catalog") / "stays.yaml"
    file.write_text(MADE_UP.format(data_source=dataset.data_source))
    return serve(*load_catalog([EXAMPLES, file]).values(), uniques=Uniques.METRIC)


def test_a_data_set_needs_only_one_file(stays: Gateway, rows: list[Row]) -> None:
    answer = stays.post(
        {
            "interval": EVER,
            "group_by": ["device"],
            "aggregations": [{"type": "count"}, {"type": "sum", "fields": ["seconds"]}],
            "filters": {"type": "not", "field": {"type": "selector", "dimension": "device", "value": None}},
        },
        dataset="stays",
    )

    own = [row for row in rows if row["owner_organization_id"] == D]
    assert answer.data == [
        [START, device, len(group), pytest.approx(sum(known(group, "duration")), rel=1e-9)]
        for device in ("desktop", "mobile", "tablet")
        for group in [[row for row in own if row["device_type"] == device]]
    ]


CONDITIONS: list[tuple[Json, Condition]] = [
    (
        {"type": "in", "dimension": "device", "values": ["desktop", None]},
        lambda r: r["device_type"] in ("desktop", None),
    ),
    ({"type": "selector", "dimension": "pages", "value": 2}, lambda r: r["page_view_count"] == 2),
    ({"type": "bound", "dimension": "seconds", "lower": 60}, lambda r: (r["duration"] or 0) >= 60),
    ({"type": "bound", "dimension": "browser", "upper": "G"}, lambda r: (r["browser_name"] or "Z") <= "G"),
    ({"type": "like", "dimension": "browser", "pattern": "%o%"}, lambda r: "o" in (r["browser_name"] or "")),
]


@pytest.mark.parametrize(("condition", "matches"), CONDITIONS, ids=[each["type"] for each, _ in CONDITIONS])
def test_filters_and_aggregations_read_the_columns_that_the_file_names(
    stays: Gateway, rows: list[Row], condition: Json, matches: Condition
) -> None:
    answer = stays.post(
        {
            "interval": EVER,
            "aggregations": [{"type": "count"}, {"type": "avg", "fields": ["pages"]}],
            "filters": condition,
        },
        dataset="stays",
    )

    own = [row for row in rows if row["owner_organization_id"] == D and matches(row)]
    pages = [row["page_view_count"] for row in own]
    assert own
    assert answer.data == [[START, len(own), pytest.approx(sum(pages) / len(pages), rel=1e-9)]]


def test_hyper_unique_without_a_metric_counts_the_column_itself(stays: Gateway, rows: list[Row]) -> None:
    body = {"interval": EVER, "aggregations": [{"type": "hyperUnique", "fields": ["visitor", "pages"]}]}

    own = [row for row in rows if row["owner_organization_id"] == D]
    (row,) = stays.post(body, dataset="stays").data
    assert row[1] == pytest.approx(len({each["visitor_id"] for each in own}), rel=0.02)
    assert row[2] == len({each["page_view_count"] for each in own} - {None})


def test_the_tenants_column_can_have_another_public_name(stays: Gateway, rows: list[Row]) -> None:
    body = {"interval": EVER, "group_by": ["customer"], "aggregations": [{"type": "count"}]}
    own = [row for row in rows if row["owner_organization_id"] == D]
    assert stays.post(body, dataset="stays").data == [[START, D, len(own)]]


def test_partners_have_no_access_to_a_data_set_without_a_partner_column(stays: Gateway) -> None:
    body = {"interval": EVER, "aggregations": [{"type": "count"}]}
    assert stays.post(body, organization=P, caller=D, dataset="stays").status == 403
    assert get(stays, stays.path(P, "stays")).status == 403


def test_its_errors_name_its_dimensions(stays: Gateway) -> None:
    answer = stays.post(
        {
            "interval": EVER,
            "group_by": ["devic", "city"],  # codespell:ignore devic
            "aggregations": [{"type": "avg", "fields": ["seconds"]}],
            "filters": {"type": "selector", "dimension": "device", "value": "watch"},
        },
        dataset="stays",
    )

    assert answer.status == 400
    errors = {error["pointer"]: error["message"] for error in answer.json["errors"]}
    assert errors.keys() == {"/group_by/0", "/group_by/1", "/aggregations/0/fields/0", "/filters/value"}
    assert 'did you mean "device"?' in errors["/group_by/0"]
    assert "desktop, tablet, mobile" in errors["/filters/value"].replace('"', "")


def test_it_is_described_and_explained_and_in_the_openapi_document(stays: Gateway) -> None:
    description = get(stays, stays.path(D, "stays")).json
    assert [each["name"] for each in description["dimensions"]] == PUBLIC_NAMES
    assert {each["type"]: each["fields"] for each in description["aggregations"]} == {
        "avg": ["pages"],
        "sum": ["seconds"],
        "hyperUnique": ["visitor", "pages"],
        "count": [],
    }
    assert description["time_range"]["first"].startswith("2018-12-1")

    document = get(stays, "/api/reporting/v1/openapi.json").json
    path = document["paths"]["/api/reporting/v1/orgs/{organization_id}/stays"]
    assert path["post"]["operationId"] == "report_stays"
    assert path["get"]["operationId"] == "describe_stays"
    assert document["components"]["schemas"]["stays"]["properties"]["group_by"]["items"] == {"enum": PUBLIC_NAMES}

    body = {"interval": EVER, "aggregations": [{"type": "count"}]}
    explanation = stays.post(body, dataset="stays?explain=true").json
    assert explanation["warnings"] == ["There is no filter on device: devices are mixed."]
