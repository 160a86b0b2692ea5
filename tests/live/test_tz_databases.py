"""Druid's tz database differs from the gateway's, and buckets are right nevertheless: also across decades of changes.

Druid 33 has version 2023c, and lacks America/Coyhaique. In 2024 Kazakhstan changed its offset, and Gaza the end of its
winter time.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.catalog.model import Dataset
from gateway.query.zones import spans
from tests.conftest import Data
from tests.live.reports import COUNT, report
from tests.oracle import clock
from tests.serving import D, Gateway

GAZA = Path(__file__).with_name("gaza.jsonl")
YEAR_2024 = {"start": "2024-01-01", "end": "2025-01-01"}

SAMPLE = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Coyhaique",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Almaty",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Helsinki",
    "Pacific/Apia",
)
MINUTE, DAY = 60_000, 86_400_000
DECADES = range(1970, 2040, 10)


@pytest.fixture(scope="module")
def gaza(ingested: Callable[..., Dataset], gateway_for: Callable[[Data], Gateway]) -> Gateway:
    return gateway_for(Data(ingested("gaza", GAZA, "2024-01-01/2025-01-01"), GAZA, (D,)))


def test_a_day_of_a_zone_that_druid_has_other_rules_for_keeps_its_rows(gaza: Gateway) -> None:
    body = report(
        interval={"start": "2024-04-10", "end": "2024-04-26", "time_zone": "Asia/Gaza"},
        granularity="day",
        group_by=["scope"],
        order_by=[{"column": "count"}],
        limit=1,
    )
    assert gaza.post(body).data == [["2024-04-20T00:00:00.000+02:00", "org", 1]]


@pytest.mark.parametrize("zone", ["Asia/Almaty", "America/Coyhaique", "Asia/Gaza", "America/Vancouver"])
@pytest.mark.parametrize("granularity", ["day", "week", "month", "quarter", "year"])
@pytest.mark.parametrize("group_by", [[], ["scope"]])
def test_a_year_in_zones_that_the_databases_disagree_about(
    gaza: Gateway, zone: str, granularity: str, group_by: list[str]
) -> None:
    rows = [json.loads(line)["timestamp"] for line in GAZA.read_text().splitlines()]
    expected = Counter(clock.bucket_of(clock.moment(row, zone), granularity, zone) for row in rows)
    body = report(interval={**YEAR_2024, "time_zone": zone}, granularity=granularity, group_by=group_by)
    assert counts(gaza.post(body).data) == expected


def counts(rows: list[list[str | int]]) -> Counter[int]:
    return Counter({clock.moment(str(row[0]), "UTC"): int(row[-1]) for row in rows if row[-1]})


def moments() -> list[int]:
    """Both sides of each change of an offset in the sample, from 1970 to 2037."""
    first, last = (clock.moment(text, "UTC") for text in ("1970-01-03", "2037-12-29"))
    changes = {span.start for zone in SAMPLE for span in spans(ZoneInfo(zone), first, last)[1:]}
    return sorted(at + distance for at in changes for distance in (-DAY, -1, 0, 30 * MINUTE, DAY))


@pytest.fixture(scope="module")
def decades(
    ingested: Callable[..., Dataset], gateway_for: Callable[[Data], Gateway], tmp_path_factory: pytest.TempPathFactory
) -> Gateway:
    file = tmp_path_factory.mktemp("decades") / "rows.jsonl"
    rows = ({"timestamp": clock.shown(at, "UTC"), "owner_organization_id": D, "scope": "org"} for at in moments())
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return gateway_for(Data(ingested("decades", file, "1970-01-01/2038-01-01", "year"), file, (D,)))


@pytest.mark.parametrize("zone", SAMPLE)
def test_decades_of_changes(decades: Gateway, zone: str) -> None:
    for granularity in ("six_hour", "day", "week", "month", "quarter", "year"):
        buckets = [(at, clock.bucket_of(at, granularity, zone)) for at in moments()]
        for year in DECADES:
            start, end = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) * 1000 for y in (year, year + 10))
            expected = Counter(bucket for at, bucket in buckets if start <= at < end)
            interval = {"start": clock.shown(start, "UTC"), "end": clock.shown(end, "UTC"), "time_zone": zone}
            for group_by in ([], ["scope"]):
                body = report(COUNT, interval=interval, granularity=granularity, group_by=group_by)
                assert counts(decades.post(body).data) == expected, (granularity, year, group_by)
