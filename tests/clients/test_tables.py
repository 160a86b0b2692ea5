"""The rows of a real Druid as data frames, and what gateway.client says about packages that are missing."""

import sys
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.client import AsyncClient, Client, DataSet, Fixed, Report
from tests.serving import D, Gateway

REPORT: Report = {
    "interval": {"start": "2019-01-01", "end": "2020-01-01", "time_zone": "Europe/Helsinki"},
    "granularity": "quarter",
    "group_by": ["chat_type"],
    "aggregations": [{"type": "count"}, {"type": "avg", "fields": ["sales"]}],
    "totals": True,
}


@pytest.fixture
def sessions(hand_counted_gateway: Gateway) -> Iterator[DataSet]:
    with Client(hand_counted_gateway.url, hand_counted_gateway.tokens[D]) as client:
        yield client.data_set(D, "chat_sessions")


def test_every_data_frame_has_the_rows_of_the_answer(sessions: DataSet) -> None:
    answer, table = sessions.answer(REPORT), sessions.table(REPORT)
    names = [field.name for field in answer.fields]
    rows = [[datetime.fromisoformat(str(start)), *others] for start, *others in answer.data]
    assert len(rows) > 3
    assert table.omitted == ("totals", "warnings")

    arrow = table.to_arrow()
    assert arrow.column_names == names
    assert [list(row.values()) for row in arrow.to_pylist()] == rows

    polars = table.to_polars()
    assert polars.columns == names
    assert [list(row) for row in polars.rows()] == rows

    pandas = table.to_pandas()
    assert list(pandas.columns) == names
    assert pandas["start_time"].dt.tz == ZoneInfo("Europe/Helsinki")
    assert pandas["start_time"].tolist() == [row[0] for row in rows]
    assert pandas["count"].tolist() == [row[2] for row in rows]


PAGED: Report = {
    "interval": {"start": "2018-12-01", "end": "2020-01-01"},
    "granularity": "month",
    "group_by": ["scope", "chat_type"],
    "aggregations": [{"type": "count"}],
}


async def test_the_pages_of_a_report_have_all_of_its_rows(sessions: DataSet, hand_counted_gateway: Gateway) -> None:
    rows = sessions.answer(PAGED).data
    paged: Report = {**PAGED, "limit": 4, "offset": 0}
    pages = [page.data for page in sessions.answers(paged)]
    assert [row for page in pages for row in page] == rows
    assert len(pages) == len(rows) // 4 + 1 > 2
    assert [page.to_arrow().num_rows for page in sessions.tables(paged)] == [len(page) for page in pages]
    async with AsyncClient(hand_counted_gateway.url, hand_counted_gateway.tokens[D]) as client:
        found = [page.data async for page in client.data_set(D, "chat_sessions").answers(paged)]
    assert found == pages
    assert [page.data for page in sessions.answers(PAGED)] == [rows]


def test_a_data_set_has_a_description_and_values(sessions: DataSet) -> None:
    assert sessions.describe()["name"] == "chat_sessions"
    interval: Fixed = {"start": "2019-01-01", "end": "2020-01-01"}
    values = sessions.values("chat_type", interval, limit=2)
    assert len(values) == 2
    assert values[0][1] >= values[1][1] > 0
    found = sessions.values("chat_type", interval, search="VIS")
    assert [value for value, _ in found] == ["visitor"]


@pytest.mark.parametrize(
    ("method", "missing", "install"),
    [
        ("to_arrow", "pyarrow.ipc", "pip install pyarrow"),
        ("to_pandas", "pandas", "pip install pandas pyarrow"),
        ("to_polars", "polars", "pip install polars"),
    ],
)
def test_a_missing_package_is_named(
    sessions: DataSet, monkeypatch: pytest.MonkeyPatch, method: str, missing: str, install: str
) -> None:
    table = sessions.table(REPORT)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=install):
        getattr(table, method)()
