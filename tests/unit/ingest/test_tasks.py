"""Druid's descriptions of tasks are read as Druid means them."""

import pytest

from gateway.druid.tasks import Phase, Report, RowError, RowStats, State, TaskStatus

CREATED = "2026-01-02T00:00:00.000Z"


def test_a_report_counts_rows_with_an_unreadable_value_as_read() -> None:
    totals = {"processed": 6, "processedBytes": 5314, "processedWithError": 1, "thrownAway": 2, "unparseable": 3}
    event = {"input": "not json", "errorType": "unparseable", "details": ["Unable to parse row [not json] (Line: 7)"]}
    payload = {
        "rowStats": {"totals": {"buildSegments": totals}},
        "unparseableEvents": {"buildSegments": [event]},
        "segmentsPublished": 14,
        "errorMsg": None,
    }
    assert Report.parse({"ingestionStatsAndErrors": {"payload": payload}}) == Report(
        rows=RowStats(read=7, bytes=5314, with_error=1, thrown_away=2, unparseable=3),
        row_errors=(RowError("not json", "Unable to parse row [not json] (Line: 7)"),),
        segments=14,
    )


def test_a_task_without_subtasks_reports_its_rows_without_totals() -> None:
    stats = {"determinePartitions": {"processed": 33}, "buildSegments": {"processed": 33, "processedBytes": 18279}}
    report = Report.parse({"ingestionStatsAndErrors": {"payload": {"rowStats": stats}}})
    assert report.rows == RowStats(read=33, bytes=18279)


@pytest.mark.parametrize(
    "json",
    [
        {},
        {"error": "Can't find chatHandler for handler[x]"},
        {"ingestionStatsAndErrors": {"payload": {"rowStats": {}, "unparseableEvents": {}, "errorMsg": None}}},
    ],
)
def test_the_report_of_a_task_that_has_read_nothing_is_empty(json: dict[str, object]) -> None:
    assert Report.parse(json) == Report()


def test_a_row_error_shows_the_row_once() -> None:
    assert str(RowError("not json", "Unable to parse row [not json]", "a.jsonl:7")) == (
        "a.jsonl:7: Unable to parse row [not json]"
    )
    assert str(RowError('{"a":1}', "No timestamp", "a.jsonl:8")) == 'a.jsonl:8: No timestamp\n    {"a":1}'


def test_a_subtask_has_the_phase_of_its_task() -> None:
    json = {
        "id": "partial_range_index_generate_x",
        "groupId": "x",
        "type": "partial_range_index_generate",
        "createdTime": CREATED,
        "statusCode": "RUNNING",
        "runnerStatusCode": "PENDING",
        "duration": -1,
        "dataSource": "chat_sessions",
        "errorMsg": None,
    }
    assert TaskStatus.parse(json) == TaskStatus(
        task_id="partial_range_index_generate_x",
        group_id="x",
        type="partial_range_index_generate",
        data_source="chat_sessions",
        state=State.RUNNING,
        is_waiting=True,
        created=CREATED,
        duration=-1,
        error=None,
    )
    assert TaskStatus.parse(json).phase is Phase.READING
