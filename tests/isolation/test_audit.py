"""The audit line of a report: who asked what, for whom, and nothing of what its filters compare with."""

from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession
from structlog.testing import LogCapture

from gateway.telemetry.log_context import with_log_context
from tests.isolation.stand_in import standing_in
from tests.serving import D, P, serving, settings_for

SECRET = "what the filter compares with"
REPORT = {
    "interval": {"start": "2019-01-01", "end": "2019-01-08", "time_zone": "Europe/Helsinki"},
    "granularity": "day",
    "group_by": ["scope", "room_ids"],
    "aggregations": [
        {"type": "sum", "fields": ["sales", "order_count"],
         "filter": {"type": "like", "dimension": "user_id", "pattern": SECRET}},
        {"type": "count", "name": "a_name_that_is_the_callers"},
    ],
    "filters": [
        {"type": "or", "fields": [
            {"type": "selector", "dimension": "room_ids", "value": SECRET},
            {"type": "not", "field": {"type": "in", "dimension": "team_id", "values": [SECRET, None]}},
        ]},
        {"type": "bound", "dimension": "visitor_ids", "lower": SECRET},
    ],
}  # fmt: skip


@pytest.fixture
def lines() -> Any:
    """The log with its context, as configure_logging has it."""
    capture = LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[with_log_context, capture])
    yield capture.entries
    structlog.configure(processors=before)


@pytest.mark.parametrize(("about", "partner"), [(D, None), (P, P)])
async def test_a_report_leaves_an_audit_line(
    tmp_path: Path, lines: list[dict[str, Any]], about: str, partner: str | None
) -> None:
    rows = [[1546293600000, "org", "r1", 1.0, 2.0, 3, 1.0, 2.0], [1546293600000, "org", "r2", 1.0, 2.0, 3, 1.0, 2.0]]
    async with (
        standing_in() as druid,
        serving(settings_for(tmp_path, druid.url)) as gateway,
        ClientSession() as session,
    ):
        druid.answer = lambda _: rows
        token = gateway.tokens[D]
        headers = {"Authorization": f"Token {token}"}
        async with session.post(gateway.url + gateway.path(about), json=REPORT, headers=headers) as response:
            assert response.status == 200, await response.text()
    [line] = [line for line in lines if line["event"] == "request_finished"]
    assert line["credential"] == token[4:12]
    assert len(line["user"]) == 36
    assert (line["organization"], line["partner"], line["data_set"], line["rows"]) == (D, partner, "chat_sessions", 2)
    assert (line["start"], line["end"]) == ("2019-01-01T00:00:00.000+02:00", "2019-01-08T00:00:00.000+02:00")
    assert (line["granularity"], line["group_by"]) == ("day", ["scope", "room_ids"])
    assert line["aggregations"] == ["sum(sales) where like(user_id)", "sum(order_count) where like(user_id)", "count()"]
    assert line["filters"] == "and(or(selector(room_ids), not(in(team_id))), bound(visitor_ids))"
    for secret in (SECRET, token, "a_name_that_is_the_callers"):
        assert secret not in repr(lines)


async def test_what_is_refused_leaves_none(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    async with (
        standing_in() as druid,
        serving(settings_for(tmp_path, druid.url)) as gateway,
        ClientSession() as session,
    ):
        url = gateway.url + gateway.path(D)
        wrong = gateway.tokens[D][:-8] + "AAAAAAAA"
        for token, body in ((wrong, REPORT), (gateway.tokens[P], REPORT), (gateway.tokens[D], REPORT | {"x": SECRET})):
            async with session.post(url, json=body, headers={"Authorization": f"Token {token}"}) as response:
                assert response.status in {400, 401, 403}
    finished = [line for line in lines if line["event"] == "request_finished"]
    assert [line for line in finished if "aggregations" in line] == []
    assert len(finished) == 3
    [failed] = [line for line in lines if line["event"] == "authentication_failed"]
    assert (failed["address"], failed["reason"]) == ("127.0.0.1", "The token is not valid.")
    assert SECRET not in repr(lines)
    assert wrong not in repr(lines)


@pytest.mark.parametrize("column", ["involved_organization_ids", "__time", "chat_session_id_unique", "count"])
async def test_a_column_that_is_no_dimension_cannot_be_named(tmp_path: Path, column: str) -> None:
    selector = {"type": "selector", "dimension": column, "value": D}
    base = {"interval": REPORT["interval"], "aggregations": [{"type": "count", "name": "rows"}]}
    bodies = (
        base | {"group_by": [column]},
        base | {"filters": selector},
        base | {"filters": {"type": "not", "field": selector}},
        base | {"aggregations": [{"type": "hyperUnique", "fields": [column]}]},
        base | {"aggregations": [{"type": "count", "filter": selector}]},
        base | {"order_by": [{"column": column}]},
        base | {"having": [{"type": "greaterThan", "metric": column, "value": 0}]},
    )
    async with (
        standing_in() as druid,
        serving(settings_for(tmp_path, druid.url)) as gateway,
        ClientSession() as session,
    ):
        headers = {"Authorization": f"Token {gateway.tokens[D]}"}
        for body in bodies:
            async with session.post(gateway.url + gateway.path(D), json=body, headers=headers) as response:
                assert response.status == 400, body
        assert druid.queries == []
