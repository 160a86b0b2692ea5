"""What the page makes of an answer, before it is drawn."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.query.time import format_moment, parse_timestamp
from tests.explorer.answers import Json, result
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


@pytest.mark.parametrize(
    ("zone", "until", "now", "partial"),
    [
        # Nine o'clock in the evening in New York, and the day after in UTC.
        ("America/New_York", "2026-11-27", "2026-11-26T21:00", ["2026-11-26"]),
        ("America/New_York", "2026-11-27", "2026-11-27T00:00", []),
        ("Asia/Tokyo", "2026-11-27", "2026-11-26T23:59", ["2026-11-26"]),
        ("Asia/Tokyo", "2026-11-27", "2026-11-27T00:00", []),
        # The days that are still to come are not complete, either.
        ("America/New_York", "2026-11-27", "2026-11-25T12:00", ["2026-11-25", "2026-11-26"]),
    ],
)
def test_a_time_step_is_incomplete_until_it_is_over_in_the_reports_zone(
    modules: Modules, zone: str, until: str, now: str, partial: list[str]
) -> None:
    starts = {day: midnight(day, zone) for day in ("2026-11-24", "2026-11-25", "2026-11-26")}
    report = {"interval": {"start": "2026-11-24", "end": until, "time_zone": zone}, "granularity": "day"}
    answered = result(report, [[start, 1] for start in starts.values()])
    chart = modules.evaluate("timeChart(result)", result=answered, clock=parse_timestamp(now, ZoneInfo(zone)), tz=zone)
    assert chart["partial"] == [starts[day] for day in partial]


@pytest.mark.parametrize(
    ("interval", "is_partial"),
    [
        ({"current": "week"}, True),
        ({"last": "P3D", "include_current": True}, True),
        ({"last": "P3D"}, False),
    ],
)
def test_the_last_time_step_is_incomplete_only_if_a_relative_interval_includes_the_current_one(
    modules: Modules, interval: Json, *, is_partial: bool
) -> None:
    zone = "America/New_York"
    starts = [midnight(day, zone) for day in ("2026-11-24", "2026-11-25", "2026-11-26")]
    now = parse_timestamp("2026-11-26T21:00:20" if is_partial else "2026-11-27T21:00:20", ZoneInfo(zone))
    end = "2026-11-26T21:00:00.000-05:00" if is_partial else midnight("2026-11-27", zone)
    report = {"interval": {**interval, "time_zone": zone}, "granularity": "day"}
    answered = result(report, [[start, 1] for start in starts], interval={"start": starts[0], "end": end})
    chart = modules.evaluate("timeChart(result)", result=answered, clock=now)
    assert chart["partial"] == (starts[-1:] if is_partial else [])


def midnight(day: str, zone: str) -> str:
    return format_moment(parse_timestamp(day, ZoneInfo(zone)), ZoneInfo(zone))


JANUARY = {"interval": {"start": "2019-01-01", "end": "2019-01-03"}, "granularity": "day"}
FIRST, SECOND = "2019-01-01T00:00:00.000+00:00", "2019-01-02T00:00:00.000+00:00"


def test_a_group_called_other_and_the_rest_are_two_series(modules: Modules) -> None:
    report = {**JANUARY, "group_by": ["kind"]}
    rows = [[FIRST, "other", 5], [FIRST, "a", 3], [SECOND, "other", 7]]
    answered = result(report, rows, other=[[FIRST, None, 100], [SECOND, None, 200]])
    [panel] = modules.evaluate("timeChart(result).panels", result=answered)
    assert [(each["group"], each["values"]) for each in panel["series"]] == [
        (["other"], [5, 7]),
        (["a"], [3, None]),
        (None, [100, 200]),
    ]
    assert len({each["key"] for each in panel["series"]}) == 3


def test_groups_with_the_same_label_are_different_series(modules: Modules) -> None:
    report = {**JANUARY, "group_by": ["one", "two"]}
    groups: list[list[Any]] = [
        ["no value", "x"],
        [None, "x"],
        ["a · b", "c"],
        ["a", "b · c"],
        ["1", "x"],
        [1, "x"],
        ["other groups", "x"],
    ]
    rows = [[FIRST, *group, count] for count, group in enumerate(groups)]
    [panel] = modules.evaluate("timeChart(result).panels", result=result(report, rows))
    assert [(each["group"], each["values"]) for each in panel["series"]] == [
        (group, [count]) for count, group in enumerate(groups)
    ]
    assert len({each["key"] for each in panel["series"]}) == len(groups)


def test_a_time_step_with_rows_of_the_rest_only_is_drawn(modules: Modules) -> None:
    answered = result({**JANUARY, "group_by": ["kind"]}, [[FIRST, "a", 3]], other=[[SECOND, None, 200]])
    chart = modules.evaluate("timeChart(result)", result=answered)
    assert chart["starts"] == [FIRST, SECOND]
    assert [each["values"] for each in chart["panels"][0]["series"]] == [[3, None], [None, 200]]


@pytest.mark.parametrize("other", [None, [[FIRST, None, 100]]])
@pytest.mark.parametrize("count", [12, 13])
def test_the_chart_knows_how_many_groups_it_does_not_show(
    modules: Modules, count: int, other: list[list[Any]] | None
) -> None:
    rows = [[FIRST, f"group {n}", n] for n in range(count)]
    members: Json = {} if other is None else {"other": other}
    [panel] = modules.evaluate(
        "timeChart(result).panels", result=result({**JANUARY, "group_by": ["kind"]}, rows, **members)
    )
    assert panel["groups"] == count
    assert len([each for each in panel["series"] if each["group"]]) == 12
    assert [each["group"] for each in panel["series"]].count(None) == len(other or [])


def test_without_time_steps_the_rest_is_the_last_bar(modules: Modules) -> None:
    report = {**JANUARY, "granularity": "all", "group_by": ["kind"]}
    rows = [[FIRST, "a", 3], [FIRST, "other groups", 5]]
    answered = result(report, rows, other=[[FIRST, None, 100]])
    bars = modules.evaluate("bars(result, metricsOf(result)[0])", result=answered)
    assert [(each["group"], each["value"]) for each in bars] == [(["other groups"], 5), (["a"], 3), (None, 100)]
    assert len({each["key"] for each in bars}) == 3


def test_the_rest_is_shown_beside_as_many_bars_as_fit(modules: Modules) -> None:
    report = {**JANUARY, "granularity": "all", "group_by": ["kind"]}
    answered = result(report, [[FIRST, f"group {n}", n] for n in range(70)], other=[[FIRST, None, 1]])
    shown = modules.evaluate("shownBars(bars(result, metricsOf(result)[0]))", result=answered)
    assert [each["value"] for each in shown] == [*range(69, 19, -1), 1]


def test_metrics_of_a_comparison_are_found_by_their_places(modules: Modules) -> None:
    # Callers choose names, also such as a comparison would give, and those of a dimension with an ending.
    named = {"aggregations": [{"type": "count", "name": "net_change"}, {"type": "count", "name": "kind_previous"}]}
    report = {**JANUARY, **named, "group_by": ["kind"], "compare": {"to": "previous_period"}}
    names = [f"{name}{end}" for name in ("net_change", "kind_previous") for end in ("", "_previous", "_change")]
    answered = result(report, [[FIRST, "a", *range(6)]], metrics=names)
    metrics = modules.evaluate("metricsOf(result)", result=answered)
    assert [tuple(each[key] for key in ("column", "value", "previous", "change")) for each in metrics] == [
        ("net_change", 2, 3, 4),
        ("kind_previous", 5, 6, 7),
    ]


def test_without_a_comparison_every_metric_is_one_of_its_own(modules: Modules) -> None:
    names = ["net", "net_previous", "net_change"]
    report = {**JANUARY, "aggregations": [{"type": "count", "name": name} for name in names]}
    metrics = modules.evaluate("metricsOf(result)", result=result(report, [[FIRST, 1, 2, 3]], metrics=names))
    assert [(each["column"], each["previous"], each["change"]) for each in metrics] == [
        (name, None, None) for name in names
    ]
