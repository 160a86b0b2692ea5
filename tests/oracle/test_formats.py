"""Random reports say the same in every format, as csv, DuckDB, pyarrow, pandas and json read them.

FORMAT_REPORTS says how many reports to draw (60).
"""

import csv
import io
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from gateway.web.encoders import FORMATS
from tests.oracle.oracle import Oracle
from tests.oracle.reports import Data, reports
from tests.oracle.test_oracle import WHO
from tests.serving import Answer, Gateway

REPORTS: Final = int(os.environ.get("FORMAT_REPORTS", "60"))

Rows = list[list[Any]]


@pytest.fixture(scope="module")
def data(oracle: Oracle) -> Data:
    return Data.of(oracle)


def test_random_reports_are_equal_in_all_formats(gateways: Mapping[str, Gateway], data: Data, tmp_path: Path) -> None:
    gateway, file = gateways["sketch"], tmp_path / "answer.csv"
    rows = 0

    @seed(0)
    @settings(max_examples=REPORTS, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(body=reports(data), who=st.sampled_from(sorted(WHO)))
    def agree(body: dict[str, Any], who: str) -> None:
        nonlocal rows
        answers = {
            name: gateway.post(body, **WHO[who], accept=FORMATS[name].media_type)
            for name in ("json", "csv", "ndjson", "arrow")
        }
        statuses = {answer.status for answer in answers.values()}
        assert len(statuses) == 1
        if statuses != {200}:
            return
        expected = answers["json"].json
        names = [field["name"] for field in expected["fields"]]
        rows += len(expected["data"])
        assert [list(json.loads(line).items()) for line in answers["ndjson"].body.splitlines()] == [
            list(zip(names, row, strict=True)) for row in expected["data"]
        ]
        kinds = check_arrow(answers["arrow"], names, expected["data"])
        check_csv(answers["csv"], names, kinds, expected["data"], file)

    agree()
    assert rows > REPORTS


def check_arrow(answer: Answer, names: list[str], expected: Rows) -> list[str]:
    """Compare with pyarrow and pandas; return the types of the columns."""
    table = pa.ipc.open_stream(answer.body).read_all()
    table.validate(full=True)
    assert table.column_names == names
    columns = [
        [None if value is None else value.isoformat(timespec="milliseconds") for value in column.to_pylist()]
        if pa.types.is_timestamp(column.type)
        else column.to_pylist()
        for column in table.columns
    ]
    times = [index for index, column in enumerate(table.columns) if pa.types.is_timestamp(column.type)]
    for index, values in enumerate(columns):
        wanted = [row[index] for row in expected]
        if index in times:
            # Moments: the offsets before standard time have seconds, which not every tz database keeps.
            assert list(map(moment, values)) == list(map(moment, wanted))
        else:
            assert values == wanted
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    assert list(frame.columns) == names
    assert len(frame) == len(expected)
    numeric = [index for index, column in enumerate(table.columns) if pa.types.is_floating(column.type)]
    for index in numeric:
        assert [None if pd.isna(value) else value for value in frame[names[index]]] == [row[index] for row in expected]
    return [str(column.type) for column in table.columns]


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def check_csv(answer: Answer, names: list[str], kinds: list[str], expected: Rows, file: Path) -> None:
    """Compare with the csv module, which takes null for an empty string, and with DuckDB, which does not."""
    header, *cells = csv.reader(io.StringIO(answer.body.decode(), newline=""))
    assert header == names
    assert [typed(row, kinds) for row in cells] == [[value or None for value in row] for row in expected]
    file.write_bytes(answer.body)
    cursor = duckdb.execute(
        "SELECT * FROM read_csv($file, header = true, all_varchar = true, allow_quoted_nulls = false, delim = ',', "
        "quote = '\"', escape = '\"', new_line = '\\r\\n', max_line_size = 10000000)",
        {"file": str(file)},
    )
    assert [each[0] for each in cursor.description or ()] == names
    found = [
        [None if text is None else text if kind == "string" else (typed([text], [kind])[0] or 0)
         for text, kind in zip(row, kinds, strict=True)]
        for row in cursor.fetchall()
    ]  # fmt: skip
    assert found == expected


def typed(row: list[str] | tuple[str, ...], kinds: list[str]) -> list[Any]:
    """Return the values of a line; an empty or zero value becomes None."""
    types = {"int64": int, "double": float}
    return [types.get(kind, str)(text) or None if text else None for text, kind in zip(row, kinds, strict=True)]
