"""What Druid tells of tasks and segments is read as it means it."""

import pytest

from gateway.ingest.batch.reports import Phase, Report, RowError, RowStats, Segment, State, TaskStatus, served

MAY = "2019-05-01T00:00:00.000Z/2019-06-01T00:00:00.000Z"
OLD, OURS, NEWER = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", "2026-01-03T00:00:00.000Z"


def segment(version: str, partition: int = 0, *, is_tombstone: bool = False) -> Segment:
    return Segment(MAY, version, partition, 100, is_tombstone)


@pytest.mark.parametrize(
    ("published", "queried", "count"),
    [
        ([segment(OURS)], [segment(OURS)], 1),
        ([segment(OURS)], [], 0),
        ([segment(OURS)], [segment(OLD)], 0),
        # Half of a time chunk beside the old one would count twice; Druid changes it as a whole.
        ([segment(OURS)], [segment(OLD), segment(OURS)], 0),
        ([segment(OURS), segment(OURS, 1)], [segment(OURS)], 1),
        # Somebody else has replaced ours since.
        ([segment(OURS), segment(OURS, 1)], [segment(NEWER)], 2),
        ([segment(OURS, is_tombstone=True)], [], 1),
        ([segment(OURS, is_tombstone=True)], [segment(OLD)], 0),
        ([], [segment(OLD)], 0),
    ],
)
def test_a_segment_is_served_when_the_broker_reads_it_and_nothing_older(
    published: list[Segment], queried: list[Segment], count: int
) -> None:
    assert served(published, queried) == count


def test_a_report_counts_a_row_with_a_bad_value_among_those_read() -> None:
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


@pytest.mark.parametrize(
    "json",
    [
        {},
        {"error": "Can't find chatHandler for handler[x]"},
        {"ingestionStatsAndErrors": {"payload": {"rowStats": {}, "unparseableEvents": {}, "errorMsg": None}}},
    ],
)
def test_a_task_that_has_read_nothing_yet_has_an_empty_report(json: dict[str, object]) -> None:
    assert Report.parse(json) == Report()


def test_a_row_error_shows_the_line_once() -> None:
    assert str(RowError("not json", "Unable to parse row [not json]", "a.jsonl:7")) == (
        "a.jsonl:7: Unable to parse row [not json]"
    )
    assert str(RowError('{"a":1}', "No timestamp", "a.jsonl:8")) == 'a.jsonl:8: No timestamp\n    {"a":1}'


def test_a_subtask_tells_the_phase_of_its_task() -> None:
    json = {
        "id": "partial_range_index_generate_x",
        "groupId": "x",
        "type": "partial_range_index_generate",
        "createdTime": OURS,
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
        created=OURS,
        duration=-1,
        error=None,
    )
    assert TaskStatus.parse(json).phase is Phase.READING
