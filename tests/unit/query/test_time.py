from zoneinfo import ZoneInfo

import pytest

from gateway.query.time import GRANULARITIES, Interval, buckets, format_moment, parse_timestamp


def starts(zone: str, start: str, end: str, granularity: str) -> list[str]:
    """Return when each bucket begins, by the clock on the wall, without milliseconds."""
    info = ZoneInfo(zone)
    interval = Interval(parse_timestamp(start, info), parse_timestamp(end, info, end=True), info)
    found = [format_moment(moment, info) for moment in buckets(interval, GRANULARITIES[granularity]).starts]
    return [text.replace(".000", "") for text in found]


@pytest.mark.parametrize("start", ["2019-04-07T00:30", "2019-04-07T01:30+10:30", "2019-04-07T01:59+10:30"])
def test_an_hour_that_a_change_of_half_an_hour_cuts_begins_with_the_change(start: str) -> None:
    wanted = ["2019-04-07T00:00:00+11:00", "2019-04-07T01:00:00+11:00"] if "+" not in start else []
    wanted += ["2019-04-07T01:30:00+10:30", "2019-04-07T02:00:00+10:30"]
    assert starts("Australia/Lord_Howe", start, "2019-04-07T02:10+10:30", "hour") == wanted
