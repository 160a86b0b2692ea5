"""Every format says the same of the same rows."""

import asyncio
import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import thread_time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import MemoryExhausted
from gateway.query.aggregations import Uniques
from gateway.query.arrange import SLICE_VALUES
from gateway.query.columns import Column, ColumnType
from gateway.query.compile import compile_queries
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import plan
from gateway.query.respond import Answer, Result, Row, respond
from gateway.query.schema import compile_schema
from gateway.query.top import compile_top, with_groups
from gateway.web import encoders
from gateway.web.encoders import FORMATS, Encoded, encode
from tests.datasets import DATASETS, NOW
from tests.http.stalls import measured_stalls
from tests.tenants import tenant_of

COLUMNS = (
    Column("start_time", "dimension", ColumnType.TIME, "Asia/Kathmandu"),
    Column("text", "dimension", ColumnType.STRING),
    Column("number", "dimension", ColumnType.INTEGER),
    Column("sum", "metric", ColumnType.FLOAT),
)
TIMES = st.sampled_from(
    ["1900-01-01T00:00:00.000+05:41:16", "2019-01-01T00:00:00.000+05:45", "2199-12-31T23:59:59.999+05:45"]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\",\r\n='\t "))
INTERVAL = {"start": "2019-01-01", "end": "2019-01-08"}
ROWS = st.lists(
    st.tuples(
        TIMES,
        st.none() | TEXTS,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
    ),
    max_size=20,
)


def encoded(name: str, rows: Sequence[Row], pieces: int = 3) -> bytes:
    encoder = FORMATS[name].encoder(COLUMNS)
    parts = [encoder.head()]
    size = max(1, len(rows) // pieces)
    parts += [encoder.rows(list(zip(*rows[start : start + size], strict=True))) for start in range(0, len(rows), size)]
    return b"".join([*parts, encoder.tail({"totals": list(rows[0])} if rows else {})])


def cell(text: str, column: Column) -> Any:
    return {ColumnType.INTEGER: int, ColumnType.FLOAT: float}.get(column.type, str)(text) if text else None


@settings(deadline=None)
@given(ROWS)
def test_all_formats_contain_the_same_rows(rows: list[Row]) -> None:
    answer = json.loads(encoded("json", rows))
    assert [field["name"] for field in answer["fields"]] == [column.name for column in COLUMNS]
    assert [tuple(row) for row in answer["data"]] == rows

    lines = encoded("ndjson", rows).decode().split("\n")
    assert lines.pop() == ""
    assert [tuple(json.loads(line).values()) for line in lines] == rows

    names, *cells = csv.reader(io.StringIO(encoded("csv", rows).decode(), newline=""))
    assert names == [column.name for column in COLUMNS]
    # The csv module does not say what was quoted: only null may differ from the empty string.
    assert [[value or None for value in row] for row in rows] == [
        [cell(text, column) or None for text, column in zip(row, COLUMNS, strict=True)] for row in cells
    ]

    table = pa.ipc.open_stream(encoded("arrow", rows)).read_all()
    table.validate(full=True)
    times = [None if time is None else time.as_py() for time in table["start_time"]]
    assert times == [datetime.fromisoformat(row[0]) for row in rows]
    for index, column in enumerate(COLUMNS[1:], 1):
        assert table[column.name].to_pylist() == [row[index] for row in rows]


@settings(deadline=None)
@given(ROWS)
def test_csv_quotes_every_string_and_nothing_else(rows: list[Row]) -> None:
    for time, text, number, total in rows:
        line = encoded("csv", [(time, text, number, total)]).decode().partition("\r\n")[2]
        assert line.startswith(f"{time},," if text is None else f'{time},"')


@pytest.mark.parametrize("name", FORMATS)
def test_a_slice_is_encoded_in_much_less_than_20_ms(name: str) -> None:
    rows = [("2019-01-01T00:00:00.000+05:45", f"session-{n:08}", n, n / 7) for n in range(SLICE_VALUES // len(COLUMNS))]
    seconds = []
    for _ in range(5):
        began = thread_time()
        encoded(name, rows, pieces=1)
        seconds.append(thread_time() - began)
    assert min(seconds) < 0.01


def answer_to(report: dict[str, Any], rows: Sequence[Any], others: Sequence[Any] = ()) -> Answer:
    schema = compile_schema(DATASETS["chat_sessions"], Limits())
    body = {"interval": INTERVAL, "aggregations": [{"type": "count"}], **report}
    planned = plan(parse(body, schema), tenant_of(), schema, Uniques.SKETCH, now=NOW)
    if (top := planned.report.top) is not None:
        planned = with_groups(planned, top, compile_top(planned, top), [["visitor", 1]])
    found = {"report": rows, "other": others}
    return respond(planned, {name: Result(query, found[name]) for name, query in compile_queries(planned).items()})


def test_a_large_answer_is_encoded_without_a_stall() -> None:
    """If its pieces were joined at once, that alone would take 40 ms."""
    answer = answer_to({"group_by": ["chat_session_id"]}, [[f"{number:0500}", number] for number in range(100_000)])

    async def measured() -> tuple[Encoded, float]:
        async with measured_stalls() as stalls:
            return await encode(answer, FORMATS["ndjson"], lambda _: None), stalls.longest

    made, longest = asyncio.run(measured())
    assert made.rows == made.body.count(b"\n") == 100_000
    assert made.body.endswith(b'99999","count":99999}\n')
    assert longest < 0.02


def test_rows_of_everything_else_are_encoded_without_a_stall() -> None:
    """If they were encoded at once, that alone would take 25 ms."""
    names = [f"count{number}" for number in range(10)]
    report = {
        "granularity": "minute",
        "group_by": ["chat_type"],
        "aggregations": [{"type": "count", "name": name} for name in names],
        "top": {"groups": 1, "by": names[0], "other": True},
        "interval": {"start": "2019-01-01", "end": "2019-01-31"},
    }
    begin, counts = datetime(2019, 1, 1, tzinfo=UTC), dict.fromkeys(names, 123_456)
    others = [
        {"timestamp": (begin + number * timedelta(minutes=1)).isoformat(), "result": counts} for number in range(43_200)
    ]
    answer, sizes = answer_to(report, [], others), list[int]()

    async def measured() -> tuple[Encoded, float]:
        async with measured_stalls() as stalls:
            return await encode(answer, FORMATS["json"], sizes.append), stalls.longest

    made, longest = asyncio.run(measured())
    body = json.loads(made.body)
    assert body["other"][-1] == ["2019-01-30T23:59:00.000+00:00", None, *counts.values()]
    assert len(body["other"]) == 43_200
    assert sizes[-1] > 0.9 * len(made.body)
    assert longest < 0.02


def test_the_body_is_accounted_while_it_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many answers grow at the same time, and a long one can come from a short response of Druid."""
    monkeypatch.setattr(encoders, "_PAUSE_EVERY", 0.0)
    answer = answer_to({"granularity": "minute"}, [])
    sizes: list[int] = []
    made = asyncio.run(encode(answer, FORMATS["ndjson"], sizes.append))
    assert len(sizes) > 1
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(made.body)

    def refuse(_: int) -> None:
        raise MemoryExhausted("Too many large responses are in transit. Retry later.")

    with pytest.raises(MemoryExhausted):
        asyncio.run(encode(answer, FORMATS["ndjson"], refuse))
