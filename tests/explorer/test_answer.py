"""What the page makes of an answer, before it is drawn."""

import pytest

from tests.explorer.answers import result
from tests.explorer.modules import Modules


@pytest.mark.parametrize(
    ("interval", "granularity", "start", "expected"),
    [
        # The next row of a sparse answer may be days later.
        (("2019-01-01", "2019-02-01"), "day", "2019-01-02T00:00:00.000+02:00", "2019-01-03T00:00:00.000+02:00"),
        (("2019-03-01", "2019-05-01"), "day", "2019-03-31T00:00:00.000+02:00", "2019-04-01T00:00:00.000+03:00"),
        (("2019-01-01", "2020-01-01"), "month", "2019-02-01T00:00:00.000+02:00", "2019-03-01T00:00:00.000+02:00"),
        (("2019-10-27", "2019-10-28"), "hour", "2019-10-27T03:00:00.000+03:00", "2019-10-27T03:00:00.000+02:00"),
        # The first and the last bucket are those parts of a week that the report has.
        (("2019-01-01", "2019-02-01"), "week", "2018-12-31T00:00:00.000+02:00", "2019-01-07T00:00:00.000+02:00"),
        (("2019-01-01", "2019-02-01"), "week", "2019-01-28T00:00:00.000+02:00", "2019-02-01"),
    ],
)
def test_a_time_step_opens_from_its_start_to_its_end(
    modules: Modules, interval: tuple[str, str], granularity: str, start: str, expected: str
) -> None:
    given = dict(zip(("start", "end"), interval, strict=True)) | {"time_zone": "Europe/Helsinki"}
    answered = result({"interval": given, "granularity": granularity}, [[start, 1]])
    opened = modules.evaluate("intervalOf(result, start, start)", result=answered, start=start)
    first = "2019-01-01" if start.startswith("2018") else start
    assert opened == {"start": first, "end": expected, "time_zone": "Europe/Helsinki"}


def test_the_current_time_step_of_a_relative_interval_opens_until_its_end(modules: Modules) -> None:
    moments = {"start": "2019-05-01T00:00:00.000-04:00", "end": "2019-05-17T11:31:00.000-04:00"}
    report = {"interval": {"current": "month", "time_zone": "America/New_York"}, "granularity": "day"}
    start = "2019-05-17T00:00:00.000-04:00"
    answered = result(report, [[start, 1]], interval=moments)
    opened = modules.evaluate("intervalOf(result, start, start)", result=answered, start=start)
    assert opened == {"start": start, "end": moments["end"], "time_zone": "America/New_York"}
