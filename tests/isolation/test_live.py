"""On a real Druid: a tenant's results are the same as if no other tenant's rows existed.

Every string and number of a row is its owner's alone. The same hostile reports are asked of a data source with the rows
of all organizations and of one with nothing but the rows the tenant may see; the answers must be the same, and none of
the others' values may be in them. A small run with the other tests; `EXHAUSTIVE=1 pytest tests/isolation` asks 4,000
reports for each kind of tenant.
"""

import json
import os
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from pydruid.utils.filters import Filter

from gateway.catalog.model import TIME_PARTS, Dataset
from gateway.query.filters import parse_filter
from tests.conftest import Data
from tests.datasets import CHAT_SESSIONS
from tests.isolation.druid_filters import matches
from tests.isolation.hostile import DIMENSIONS, NUMBERS, TIMES, disguised, filters, reports
from tests.serving import D, Gateway, P, T

# Each makes ten reports: see disguised.
EXAMPLES = 400 if "EXHAUSTIVE" in os.environ else 60
ORGANIZATIONS = (D, P, T)
ROWS_EACH = 300
FAR_APART = 1_000_003
MANY = {"requests_per_minute": 10**9}
MIXED_IDS = ("owner_organization_id", "chatted_organization_ids", "user_organization_id", "involved_organization_ids")


def rows_of(number: int) -> Iterator[Mapping[str, Any]]:
    """Rows of one organization: its canaries are numbered with it, and all the others are named in its rows, too."""
    random = Random(number)

    def value(name: str) -> Any:
        dimension = DIMENSIONS[name]
        if dimension.allowed:
            return random.choice(dimension.allowed)
        if name in NUMBERS:
            return number * FAR_APART + random.randrange(100)
        canaries = [f"canary-{number}-{random.randrange(5)}" for _ in range(1 + random.randrange(2))]
        return canaries if dimension.multi_valued else random.choice((canaries[0], canaries[0], "", None))

    # The others' rows begin earlier and end later than the first organization's.
    days = range(5, 25) if number == 0 else range(1, 31)
    for _ in range(ROWS_EACH + 100 * number):
        at = f"2019-01-{random.choice(days):02}T{random.randrange(24):02}:00:00.000Z"
        yield {
            "timestamp": at,
            **{name: value(name) for name in DIMENSIONS if name not in (*MIXED_IDS, *TIME_PARTS)},
            "owner_organization_id": ORGANIZATIONS[number],
            "user_organization_id": random.choice((*ORGANIZATIONS, None)),
            "chatted_organization_ids": random.sample(ORGANIZATIONS, random.randrange(4)),
            "involved_organization_ids": [ORGANIZATIONS[number], *random.sample(ORGANIZATIONS, random.randrange(3))],
        }


@dataclass(frozen=True, slots=True)
class Served:
    """Rows in Druid, and a gateway before them."""

    gateway: Gateway
    dataset: Dataset


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of tenant: D asks about an organization; `alone` serves nothing but what it may see."""

    about: str
    alone: Gateway


@pytest.fixture(scope="module")
def serve(
    ingested: Callable[[str, Path], Dataset],
    gateway_for: Callable[..., Gateway],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Sequence[Mapping[str, Any]]], Served]:
    def serve(purpose: str, rows: Sequence[Mapping[str, Any]]) -> Served:
        file = tmp_path_factory.mktemp(purpose) / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        dataset = ingested(purpose, file)
        return Served(gateway_for(Data(dataset, file, ORGANIZATIONS), **MANY), dataset)

    return serve


EVERYONES = [row for number in range(len(ORGANIZATIONS)) for row in rows_of(number)]
ALONE = {
    "own": (D, [row for row in EVERYONES if row["owner_organization_id"] == D]),
    "partner": (
        P,
        [row for row in EVERYONES if row["owner_organization_id"] == D and P in row["involved_organization_ids"]],
    ),
}


@pytest.fixture(scope="module")
def served(serve: Callable[..., Served]) -> Served:
    return serve("everyones", EVERYONES)


@pytest.fixture(scope="module")
def everyones(served: Served) -> Gateway:
    return served.gateway


@pytest.fixture(scope="module", params=ALONE)
def kind(request: pytest.FixtureRequest, serve: Callable[..., Served]) -> Kind:
    about, rows = ALONE[request.param]
    return Kind(about, serve(f"alone_{request.param}", rows).gateway)


def hostile(test: Callable[[dict[str, Any]], None]) -> None:
    """Run the test for each hostile report."""

    @seed(0)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(reports())
    def run(drawn: dict[str, Any]) -> None:
        for body in disguised(drawn, D):
            test(body)

    run()


def assert_only_own(text: str) -> None:
    """No canary but the first organization's: the others' numbers are larger than any sum of its own."""
    for number in range(1, len(ORGANIZATIONS)):
        assert f"canary-{number}-" not in text
    answer = json.loads(text)
    for row in [*answer["data"], answer.get("totals", [])]:
        assert not any(isinstance(value, int | float) and value >= FAR_APART for value in row)


def same(row: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether they are equal, but that numbers may have been added in another order."""

    def alike(found: Any, wanted: Any) -> bool:
        floats = isinstance(found, float) and isinstance(wanted, float)
        return isclose(found, wanted, rel_tol=1e-9) if floats else bool(found == wanted)

    return len(row) == len(expected) and all(map(alike, row, expected))


def test_what_others_have_changes_no_answer(everyones: Gateway, kind: Kind) -> None:
    asked = {"reports": 0, "rows": 0}

    def ask(body: dict[str, Any]) -> None:
        mixed, alone = (each.post(body, caller=D, organization=kind.about) for each in (everyones, kind.alone))
        assert mixed.status == alone.status == 200, (mixed.body, alone.body)
        assert_only_own(mixed.body.decode())
        assert len(mixed.data) == len(alone.data)
        assert all(same(row, expected) for row, expected in zip(mixed.data, alone.data, strict=True))
        assert same(mixed.json.get("totals", []), alone.json.get("totals", []))
        asked["reports"] += 1
        asked["rows"] += len(mixed.data)

    hostile(ask)
    assert asked["reports"] >= 10 * EXAMPLES
    assert asked["rows"] > asked["reports"]


def test_nobody_learns_when_others_have_data(everyones: Gateway, kind: Kind) -> None:
    def time_range(gateway: Gateway) -> Any:
        headers = {"Authorization": f"Token {gateway.tokens[D]}"}
        request = urllib.request.Request(gateway.url + gateway.path(kind.about), headers=headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["time_range"]

    assert time_range(everyones) == time_range(kind.alone)
    assert time_range(everyones)["first"] >= "2019-01-05"


def test_the_interpreter_that_judges_is_right(served: Served) -> None:
    """Druid counts as many rows of a filter as the interpreter does, without any tenant's filter before it."""
    url = f"{served.gateway.settings.druid_broker_url[0]}druid/v2"
    virtual_columns = [
        {"type": "expression", "name": name, "expression": str(value), "outputType": "LONG"}
        for name, value in TIMES.items()
    ]
    matched = 0

    @seed(1)
    @settings(max_examples=10 * EXAMPLES, deadline=None, database=None, phases=[Phase.generate])
    @given(filters)
    def compare(body: dict[str, Any]) -> None:
        nonlocal matched
        native = Filter.build_filter(parse_filter(body, CHAT_SESSIONS).to_druid())
        query = {
            "queryType": "timeseries",
            "dataSource": served.dataset.data_source,
            "intervals": "2019-01-01/2019-02-01",
            "granularity": "all",
            "virtualColumns": virtual_columns,
            "filter": native,
            "aggregations": [{"type": "count", "name": "rows"}],
        }
        request = urllib.request.Request(url, json.dumps(query).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        found = answer[0]["result"]["rows"] if answer else 0
        assert found == sum(matches(native, {**row, **TIMES}) for row in EVERYONES), native
        matched += found > 0

    compare()
    assert matched > 2 * EXAMPLES


@pytest.mark.parametrize("strict", [True, False])
def test_a_bound_that_holds_nothing_is_no_fault(everyones: Gateway, *, strict: bool) -> None:
    """On the column by which segments are cut, Druid fails where the lower end is above the upper one."""
    bound: dict[str, Any] = {
        "type": "bound",
        "dimension": "owner_organization_id",
        "lower": "b",
        "upper": "b" if strict else "a",
    }
    bound |= {"lowerStrict": strict, "upperStrict": strict}
    body = {"interval": {"start": "2019-01-01", "end": "2019-02-01"}, "aggregations": [{"type": "count"}]}
    for asked, count in ((bound, 0), ({"type": "not", "field": bound}, ROWS_EACH)):
        [[_, found]] = everyones.post(body | {"filters": asked}).data
        assert found == count


def test_who_has_no_access_is_told_nothing(everyones: Gateway) -> None:
    def ask(body: dict[str, Any]) -> None:
        for caller, about in ((T, D), (P, D), (D, T)):
            answer = everyones.post(body, caller=caller, organization=about)
            assert answer.status == 403
            assert answer.json.keys() == {"type", "title", "status", "detail", "code", "request_id"}
            assert b"canary" not in answer.body

    hostile(ask)


def test_what_could_leak_is_there(everyones: Gateway) -> None:
    """The others' values are in Druid: their owners see them."""
    body = {
        "interval": {"start": "2019-01-01", "end": "2019-02-01"},
        "group_by": ["room_ids"],
        "aggregations": [{"type": "count"}],
    }
    for number, organization in enumerate(ORGANIZATIONS):
        text = everyones.post(body, organization=organization).body.decode()
        assert f"canary-{number}-" in text
