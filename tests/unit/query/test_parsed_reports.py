"""Parsing a report once for all of its intervals gives the same as parsing each request."""

import json
from typing import Any

import pytest

from gateway.errors import InvalidReport
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.parsed_reports import ParsedReports
from gateway.query.schema import compile_schema
from tests.datasets import DATASETS

SCHEMA = compile_schema(DATASETS["chat_sessions"], Limits())
INTERVAL = {"start": "2019-01-01", "end": "2019-01-08", "time_zone": "Europe/Helsinki"}
SALES = {"type": "sum", "fields": ["sales"]}
REPORTS: tuple[dict[str, Any], ...] = (
    {"aggregations": [{"type": "count"}]},
    {"granularity": "day", "group_by": ["scope"], "aggregations": [SALES], "limit": 5},
    {"aggregations": [SALES], "filters": {"type": "selector", "dimension": "order_count", "value": 1}},
    {"aggregations": [SALES], "filters": {"type": "selector", "dimension": "order_count", "value": 1.0}},
    {"aggregations": [SALES], "filters": {"type": "selector", "dimension": "order_count", "value": "1"}},
    {"aggregations": [SALES], "filters": {"type": "selector", "dimension": "order_count", "value": None}},
)
INTERVALS: tuple[Any, ...] = (
    INTERVAL,
    {"start": "2019-01-02T00:00:00.000+02:00", "end": "2019-01-03T23:59:59.999+02:00"},
    {"end": "2020-01-01", "start": "2019-01-01", "time_zone": "America/New_York"},
)
WRONG: tuple[Any, ...] = (
    None,
    [],
    {},
    {"start": "2019-01-01"},
    INTERVAL | {"start": 1},
    INTERVAL | {"start": "2019-01-09"},
    INTERVAL | {"start": "2019-01-08"},
    INTERVAL | {"end": "2019-02-30"},
    INTERVAL | {"end": ["2019-02-28"]},
    INTERVAL | {"time_zone": "Factory"},
    INTERVAL | {"time_zone": None},
    INTERVAL | {"time_zone": ["UTC"]},
    INTERVAL | {"more": 1},
    {"start": "2019-01-01", "end": "2019-01-08", "time-zone": "UTC"},
)


def test_every_interval_of_a_known_report_is_read() -> None:
    parsed = ParsedReports(SCHEMA)
    for _ in range(2):
        for report in REPORTS:
            for interval in INTERVALS:
                body = report | {"interval": interval}
                assert repr(parsed.parse(json.dumps(body).encode())) == repr(parse(body, SCHEMA))


@pytest.mark.parametrize("interval", WRONG)
def test_a_wrong_interval_of_a_known_report_has_the_same_problems(interval: object) -> None:
    parsed = ParsedReports(SCHEMA)
    parsed.parse(json.dumps(REPORTS[0] | {"interval": INTERVAL}).encode())
    body = REPORTS[0] | {"interval": interval}
    with pytest.raises(InvalidReport) as expected:
        parse(body, SCHEMA)
    with pytest.raises(InvalidReport) as found:
        parsed.parse(json.dumps(body).encode())
    assert found.value.problems == expected.value.problems


@pytest.mark.parametrize("body", [None, [], 1, {}, {"interval": INTERVAL}, {"interval": INTERVAL, "limit": 2**65}])
def test_an_invalid_report_is_never_kept(body: object) -> None:
    parsed = ParsedReports(SCHEMA)
    for _ in range(2):
        with pytest.raises(InvalidReport):
            parsed.parse(json.dumps(body).encode())


@pytest.mark.parametrize("key", ["interval", "\\u0069nterval"])
def test_only_the_reports_own_interval_is_exchanged(key: str) -> None:
    """A count ignores its fields, whatever they are."""
    parsed = ParsedReports(SCHEMA)
    for day in (1, 2):
        ignored = json.dumps({"interval": {"start": f"2019-01-0{day}", "end": "2019-01-09"}})
        body = b'{"aggregations":[{"type":"count","fields":%b}],"%b":%b}' % (
            ignored.encode(), key.encode(), json.dumps(INTERVAL).encode()
        )  # fmt: skip
        assert parsed.parse(body).interval == parse(json.loads(body), SCHEMA).interval
