"""In every zone of the tz database, Druid's buckets contain the rows that Python's own local times put into them.

There is a row every half hour, so the count shows whether a bucket starts at the wrong time.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.catalog.model import Dataset
from gateway.query.zones import TIME_ZONES
from tests.conftest import Data
from tests.live.reports import report
from tests.serving import D, Gateway

# The intervals of the ingestion spec.
FIRST, LAST = datetime(2018, 12, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
HALF_HOUR, DAY = timedelta(minutes=30), timedelta(days=1)
MOMENTS = [FIRST + n * HALF_HOUR for n in range((LAST - FIRST) // HALF_HOUR)]


@pytest.fixture(scope="module")
def half_hours(
    ingested: Callable[[str, Path], Dataset],
    gateway_for: Callable[[Data], Gateway],
    tmp_path_factory: pytest.TempPathFactory,
) -> Gateway:
    """A gateway whose data has a row every half hour."""
    file = tmp_path_factory.mktemp("half_hours") / "rows.jsonl"
    rows = ({"timestamp": moment.isoformat(), "owner_organization_id": D, "scope": "org"} for moment in MOMENTS)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return gateway_for(Data(ingested("half_hours", file), file, (D,)))


def counted(gateway: Gateway, key: str, start: datetime, end: datetime, granularity: str) -> Counter[datetime] | str:
    """The number of rows in each bucket by its start in UTC, or the error."""
    interval = {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%dT%H:%M:%SZ}", "time_zone": key}
    answer = gateway.post(report(interval=interval, granularity=granularity))
    if answer.status != 200:
        return f"{answer.status} {answer.json['detail']}"
    return Counter({datetime.fromisoformat(label).astimezone(UTC): count for label, count in answer.data})


def failing_zones(check: Callable[[ZoneInfo], Iterator[str]]) -> list[str]:
    zones = [ZoneInfo(key) for key in sorted(TIME_ZONES)]
    with ThreadPoolExecutor(8) as pool:
        return [
            f"{zone.key}: {line}"
            for zone, lines in zip(zones, pool.map(lambda z: [*check(z)], zones), strict=True)
            for line in lines
        ]


def difference(told: Counter[datetime] | str, right: Counter[datetime], zone: ZoneInfo) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif told != right:
        wrong = sorted(moment for moment in told.keys() | right.keys() if told[moment] != right[moment])
        yield "; ".join(f"{each.astimezone(zone)}: {told[each]} and not {right[each]}" for each in wrong[:4])


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day; if midnight is skipped, the moment of the change."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def rows_between(start: datetime, end: datetime) -> int:
    start, end = max(start, FIRST), min(end, LAST)
    return max(0, -((FIRST - end) // HALF_HOUR) + (FIRST - start) // HALF_HOUR)


def test_days_of_every_zone(half_hours: Gateway) -> None:
    start, end = datetime(2018, 9, 1, tzinfo=UTC), datetime(2020, 3, 1, tzinfo=UTC)

    def check(zone: ZoneInfo) -> Iterator[str]:
        first, last = start.astimezone(zone).date(), (end - HALF_HOUR).astimezone(zone).date()
        days = [first + n * DAY for n in range((last - first).days + 1)]
        right = Counter(
            {midnight(day, zone): rows_between(midnight(day, zone), midnight(day + DAY, zone)) for day in days}
        )
        yield from difference(counted(half_hours, zone.key, start, end, "day"), right, zone)

    assert failing_zones(check) == []


def hour(moment: datetime) -> datetime:
    """The start of a local hour: the last whole hour of local time, or the change that skipped it."""
    begin = moment.astimezone(UTC) - timedelta(minutes=moment.minute)
    # Lord Howe changes by half an hour; Chatham by an hour, at a quarter to.
    while begin.astimezone(moment.tzinfo).minute and begin.astimezone(moment.tzinfo).utcoffset() != moment.utcoffset():
        begin += HALF_HOUR
    return begin


def six_hours(moment: datetime) -> datetime:
    """The start of a quarter of a local day; repeated hours belong to one quarter."""
    return moment.replace(hour=moment.hour // 6 * 6, minute=0, fold=0).astimezone(UTC)


@pytest.mark.parametrize(("granularity", "floor"), [("hour", hour), ("six_hour", six_hours)])
def test_hours_around_a_change_of_the_offset_in_every_zone(
    half_hours: Gateway, granularity: str, floor: Callable[[datetime], datetime]
) -> None:
    def check(zone: ZoneInfo) -> Iterator[str]:
        days = MOMENTS[:: DAY // HALF_HOUR]
        changes = (
            n
            for n in range(4, len(days))
            if days[n].astimezone(zone).utcoffset() != days[n - 1].astimezone(zone).utcoffset()
        )
        start = days[next(changes, 100) - 4]
        moments = (start + n * HALF_HOUR for n in range(7 * DAY // HALF_HOUR))
        right = Counter(floor(moment.astimezone(zone)) for moment in moments)
        yield from difference(counted(half_hours, zone.key, start, start + 7 * DAY, granularity), right, zone)

    assert failing_zones(check) == []
