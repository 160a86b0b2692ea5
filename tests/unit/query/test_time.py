from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from gateway.query.buckets import GRANULARITIES, buckets
from gateway.query.time import Interval, format_moment, parse_timestamp
from gateway.query.zones import TIME_ZONES

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
# From 1950 to 2070.
EARLIEST, LATEST = -DAY * 365 * 20, DAY * 365 * 100
LENGTHS = {"minute": HOUR, "five_minute": 5 * HOUR, "fifteen_minute": 12 * HOUR, "thirty_minute": DAY, "hour": 2 * DAY,
           "six_hour": 10 * DAY, "day": 40 * DAY, "week": 200 * DAY}  # fmt: skip
CLOCK = {"minute": 1, "five_minute": 5, "fifteen_minute": 15, "thirty_minute": 30, "hour": 60}


def interval(zone: str, start: str, end: str) -> Interval:
    info = ZoneInfo(zone)
    return Interval(parse_timestamp(start, info), parse_timestamp(end, info, end=True), info)


def starts(zone: str, start: str, end: str, granularity: str) -> list[str]:
    """Return the local time at which each bucket starts, without milliseconds."""
    asked = interval(zone, start, end)
    found = [format_moment(moment, asked.zone) for moment in buckets(asked, GRANULARITIES[granularity]).starts]
    return [text.replace(".000", "") for text in found]


def wall(moment: int, zone: ZoneInfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)).astimezone(zone)


def floored(moment: int, zone: ZoneInfo, granularity: str) -> tuple[object, ...]:
    """Return what identifies the bucket of a moment in local time, computed from the calendar only."""
    local = wall(moment, zone)
    if granularity in CLOCK:
        minutes = local.hour * 60 + local.minute
        # A repeated hour is two buckets.
        return (local.date(), minutes // CLOCK[granularity], local.utcoffset())
    parts: dict[str, tuple[object, ...]] = {
        "six_hour": (local.date(), local.hour // 6),
        "day": (local.date(),),
        "week": local.isocalendar()[:2],
        "month": (local.year, local.month),
        "quarter": (local.year, (local.month - 1) // 3),
        "year": (local.year,),
    }
    return parts[granularity]


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    st.sampled_from(sorted(TIME_ZONES)),
    st.sampled_from(sorted(GRANULARITIES)),
    st.integers(EARLIEST, LATEST) | st.integers(17_000 * DAY, 19_000 * DAY),
    st.floats(0, 1),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=5, max_size=20),
)
@example("Australia/Lord_Howe", "hour", 1554559200000, 0.5, [0.1, 0.2])
@example("Pacific/Apia", "day", 1325152800000, 0.2, [0.0, 0.1, 0.2, 0.5])
def test_buckets_start_where_the_calendar_turns(
    key: str, granularity: str, start: int, share: float, places: list[float]
) -> None:
    zone = ZoneInfo(key)
    end = start + 1 + int(share * LENGTHS.get(granularity, 2_000 * DAY))
    found = buckets(Interval(start, end, zone), GRANULARITIES[granularity])
    assert list(found.labels) == sorted({*found.labels})
    assert list(found.starts) == sorted({*found.starts})
    assert len(found.starts) == len(found.labels)
    assert found.starts[0] <= start
    assert found.starts[-1] < end

    moments = sorted({start, end - 1, *(start + int(place * (end - start)) for place in places)})
    for first, second in pairwise(moments):
        index, other = (bisect_right(found.starts, moment) for moment in (first, second))
        a, b = floored(first, zone, granularity), floored(second, zone, granularity)
        if granularity in CLOCK and a[2:] != b[2:]:
            # Across a change of the offset by a multiple of the bucket, the buckets go on.
            continue
        assert (index == other) == (a == b), (wall(first, zone), wall(second, zone))
    for moment in found.starts[1:]:
        # A bucket starts where the calendar turns.
        assert floored(moment, zone, granularity) != floored(moment - 1, zone, granularity)


@pytest.mark.parametrize(
    ("zone", "start", "end", "granularity", "wanted"),
    [
        ("UTC", "2019-01-01", "2019-01-02", "day", ["2019-01-01T00:00:00+00:00"]),
        ("Pacific/Apia", "2011-12-28", "2012-01-01", "day",
         ["2011-12-28T00:00:00-10:00", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"]),
        ("Pacific/Apia", "2011-12-26", "2012-01-08", "week",
         ["2011-12-26T00:00:00-10:00", "2012-01-02T00:00:00+14:00"]),
        ("America/Sao_Paulo", "2018-11-03", "2018-11-06", "day",
         ["2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"]),
        ("America/Havana", "2019-11-02", "2019-11-05", "day",
         ["2019-11-02T00:00:00-04:00", "2019-11-03T00:00:00-04:00", "2019-11-04T00:00:00-05:00"]),
        ("Atlantic/Azores", "2019-10-26", "2019-10-28", "day",
         ["2019-10-26T00:00:00+00:00", "2019-10-27T00:00:00+00:00"]),
        ("Atlantic/Azores", "2019-10-26T23:00", "2019-10-27T02:00", "hour",
         ["2019-10-26T23:00:00+00:00", "2019-10-27T00:00:00+00:00", "2019-10-27T00:00:00-01:00",
          "2019-10-27T01:00:00-01:00"]),
        ("Asia/Kathmandu", "2019-01-01T05:44:59", "2019-01-01T12:00", "six_hour",
         ["2019-01-01T00:00:00+05:45", "2019-01-01T06:00:00+05:45"]),
        ("Australia/Lord_Howe", "2019-10-06T01:30", "2019-10-06T04:00", "hour",
         ["2019-10-06T01:00:00+10:30", "2019-10-06T02:30:00+11:00", "2019-10-06T03:00:00+11:00"]),
        ("Europe/Helsinki", "2019-10-27", "2019-10-28", "six_hour",
         ["2019-10-27T00:00:00+03:00", "2019-10-27T06:00:00+02:00", "2019-10-27T12:00:00+02:00",
          "2019-10-27T18:00:00+02:00"]),
        ("Europe/Helsinki", "2019-02-14T12:00", "2019-02-14T12:01", "quarter", ["2019-01-01T00:00:00+02:00"]),
        ("Europe/Helsinki", "2019-12-31T23:59:59.999", "2020-01-01T00:00:00.001", "year",
         ["2019-01-01T00:00:00+02:00", "2020-01-01T00:00:00+02:00"]),
    ],
)  # fmt: skip
def test_known_buckets(zone: str, start: str, end: str, granularity: str, wanted: list[str]) -> None:
    assert starts(zone, start, end, granularity) == wanted


@pytest.mark.parametrize("start", ["2019-04-07T00:30", "2019-04-07T01:30+10:30", "2019-04-07T01:59+10:30"])
def test_the_hour_after_a_half_hour_change_starts_at_the_change(start: str) -> None:
    wanted = ["2019-04-07T00:00:00+11:00", "2019-04-07T01:00:00+11:00"] if "+" not in start else []
    wanted += ["2019-04-07T01:30:00+10:30", "2019-04-07T02:00:00+10:30"]
    assert starts("Australia/Lord_Howe", start, "2019-04-07T02:10+10:30", "hour") == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2019-01-01", "2019-01-01T00:00:00.000+02:00"),
        ("2019-01-01T12:30", "2019-01-01T12:30:00.000+02:00"),
        ("2019-01-01T12:30:15", "2019-01-01T12:30:15.000+02:00"),
        ("2019-01-01T12:30:15.5", "2019-01-01T12:30:15.500+02:00"),
        ("2019-01-01T12:30:15.123456789", "2019-01-01T12:30:15.124+02:00"),
        ("2019-01-01T12:30Z", "2019-01-01T14:30:00.000+02:00"),
        ("2019-01-01T12:30-05:30", "2019-01-01T20:00:00.000+02:00"),
        ("2019-01-01T00:00:00.000+14:00", "2018-12-31T12:00:00.000+02:00"),
        ("2020-02-29", "2020-02-29T00:00:00.000+02:00"),
        # A repeated time is the first one. A skipped time is read with the offset before the change.
        ("2019-10-27T03:30", "2019-10-27T03:30:00.000+03:00"),
        ("2019-03-31T03:30", "2019-03-31T04:30:00.000+03:00"),
        ("2019-01-01T23:59:59.999", "2019-01-01T23:59:59.999+02:00"),
    ],
)
def test_a_timestamp_without_an_offset_is_local(text: str, wanted: str) -> None:
    zone = ZoneInfo("Europe/Helsinki")
    assert format_moment(parse_timestamp(text, zone), zone) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2019-01-01T23:59:59.999", "2019-01-02T00:00:00.000+00:00"),
        ("2019-01-01T23:59:59.999999", "2019-01-02T00:00:00.000+00:00"),
        ("2019-01-01T23:59:59.999000001", "2019-01-02T00:00:00.000+00:00"),
        # These round up to .999 without including it.
        ("2019-01-01T23:59:59.998000001", "2019-01-01T23:59:59.999+00:00"),
        ("2019-01-01T23:59:59.998999999", "2019-01-01T23:59:59.999+00:00"),
        ("2019-12-31T23:59:59.999Z", "2020-01-01T00:00:00.000+00:00"),
        ("2019-01-01T23:59:59.998", "2019-01-01T23:59:59.998+00:00"),
        ("2019-01-01T23:59:59.99", "2019-01-01T23:59:59.990+00:00"),
        ("2019-01-01T23:59:59", "2019-01-01T23:59:59.000+00:00"),
    ],
)
def test_an_end_of_999_means_the_whole_second(text: str, wanted: str) -> None:
    zone = ZoneInfo("UTC")
    assert format_moment(parse_timestamp(text, zone, end=True), zone) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "", "2019", "2019-01", "2019-1-1", "20190101", "2019-W01-1", "2019W011", "2019-001", "19-01-01", "+2019-01-01",
        "2019-01-01T", "2019-01-01T12", "2019-01-01 12:00", "2019-01-01t12:00", "2019-01-01T1200", "2019-01-01T24:00",
        "2019-01-01T12:60", "2019-01-01T12:00:60", "2019-01-01T12:00:00,5", "2019-01-01T12:00:00.",
        "2019-01-01T12:00.5", "2019-01-01T12:00:00.0000000001", "2019-01-01T12:00z", "2019-01-01T12:00+2",
        "2019-01-01T12:00+0200", "2019-01-01T12:00+02", "2019-01-01T12:00+19:00", "2019-01-01T12:00+02:60",
        "2019-01-01Z", "2019-02-29", "2019-13-01", "2019-00-01", "2019-01-00", "2019-01-32", "1899-12-31",
        "2200-01-01", "0000-01-01", "9999-12-31", " 2019-01-01", "2019-01-01\n",
        "2019-01-01T12:00:00\u221202:00",
        "\u0662\u0660\u0661\u0669-\u0660\u0661-\u0660\u0661", "now", "today", "P1D", "1546300800000",
    ],
)  # fmt: skip
def test_any_other_form_is_rejected_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        parse_timestamp(text, ZoneInfo("UTC"))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(TIME_ZONES)), st.integers(-69 * 365 * DAY, 200 * 365 * DAY))
def test_timestamps_round_trip(key: str, moment: int) -> None:
    zone = ZoneInfo(key)
    text = format_moment(moment, zone)
    # Offsets of local mean time have seconds, which ISO 8601 cannot express.
    assume(len(text) == len("2019-01-01T00:00:00.000+00:00"))
    assert parse_timestamp(text, zone) == moment
