"""A row is valid if it is one JSON object with the spec's columns and types, an owner, and a time in the intervals."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ingest.batch.rows import RowSchema
from gateway.ingest.batch.spec import parse
from tests.datasets import DATASETS

SPECS = Path(__file__).parents[3] / "ingestion-specs"
OWNER = "11111111-2222-4333-8444-555555555555"
VALID = {"timestamp": "2019-01-01T10:00:00Z", "owner_organization_id": OWNER, "visitor_ids": ["v1"], "sales": 10.0}


def schema(timestamp_format: str = "iso", **data_schema: Any) -> RowSchema:
    task = json.loads((SPECS / "chat_sessions.json").read_text())
    task["spec"]["dataSchema"].update(data_schema)
    task["spec"]["dataSchema"]["timestampSpec"]["format"] = timestamp_format
    rows = parse("spec.json", json.dumps(task), DATASETS, brings_files=True).rows
    assert rows is not None
    return rows


SCHEMA = schema()


def found(line: str | bytes, of: RowSchema = SCHEMA) -> tuple[int, str] | None:
    """Column and message of the problem, if there is one. The fast check must agree."""
    raw = line.encode() if isinstance(line, str) else line
    problem = of.problem(raw)
    assert problem is None or not of.is_certainly_valid(raw)
    return (problem.column, problem.message) if problem else None


def row(**changes: Any) -> str:
    return json.dumps({**VALID, **changes})


@pytest.mark.parametrize("line", (SPECS / "samples" / "hand_counted.jsonl").read_text().splitlines())
def test_the_hand_counted_rows_are_valid_and_checked_quickly(line: str) -> None:
    assert SCHEMA.is_certainly_valid(line.encode())
    assert found(line) is None


@pytest.mark.parametrize(
    "line",
    [
        row(),
        row() + "\r",
        f"  {row()}\t ",
        row().replace('": ', '"\t :\n'.replace("\n", " ")),
        row(team_id='a "quoted": name\\'),
        row(team_id="key\" : ' : \t"),
        row(team_id="é\U0001f600", visitor_ids="v1"),
        row(visitor_ids=[], room_ids=None, sales=None, order_count=None),
        row(visitor_ids=["", "a", "a"]),
        row(sales=3, order_count=2.0),
        row(sales=1e308, order_count=2**63 - 1),
        row(order_count=-(2**63)),
        row(sales=2**70),
        row(timestamp="2019-01-01"),
        row(timestamp="2019-01-01T00:00"),
        row(timestamp="2019-01-01T00:00:00.123456789+02:00"),
        row(timestamp="2018-12-01T00:00:00.000Z"),
        row(timestamp="2020-01-31T23:59:59.999Z"),
        row(timestamp="2020-02-01T01:59:59.999+02:00"),
    ],
)
def test_unusual_rows_are_valid(line: str) -> None:
    assert found(line) is None


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("", 1, "the line is empty"),
        ("  \r", 1, "the line is empty"),
        ("not json", 1, "a row must be a JSON object"),
        ("[1]", 1, "a row must be a JSON object"),
        ("{", 2, "not JSON: expecting value"),
        ('{"timestamp": "2019', 15, "not JSON: unterminated string starting at"),
        ('{"timestamp" 1}', 14, "a colon is missing"),
        ("{1: 2}", 2, "a key must be a string"),
        (row()[:-1], len(row()), "the object is not closed"),
        (row()[:-1] + "]", len(row()), "a comma or a closing brace is missing"),
        (row() + row(), len(row()) + 1, "there is text after the object: each line must be one object"),
        (row() + " x", len(row()) + 2, "there is text after the object: each line must be one object"),
        (row() + "\r" + row(), len(row()) + 2, "there is text after a carriage return: end lines with a line feed"),
        ("\ufeff" + row(), 1, "the file starts with a byte order mark: save it as UTF-8 without one"),
        (b'{"t\xff": 1}', 4, "byte 0xff is not UTF-8"),
        ('{"sales": NaN}', 11, "NaN is not a JSON number"),
        ('{"visitor_ids": [-Infinity]}', 17, "-Infinity is not a JSON number"),
        ('{"sales": 1e999}', 11, "1e999 is too large for a double"),
        ('{"sales": ' + "1" * 5000 + "}", 11, "a number has too many digits"),
        ('{"team_id": "\\ud800"}', 14, "not JSON: no low surrogate in string"),
        ('{"room_ids": ' + "[" * 100_000 + "}", 14, "nested too deeply"),
        ('{"sales": 1, "sales": 2}', 14, "the key sales is there twice"),
        ('{"sales" : 1, "sales" :1, "scope": "\\":"}', 15, "the key sales is there twice"),
        ('{"sale": 1}', 2, "sale is not a column of the spec; did you mean sales?"),
        ('{"owner_organisation_id": 1}', 2, "owner_organisation_id is not a column of the spec; did you mean owner"),
        ('{"\\u001b[31m": 1}', 2, "\x1b[31m is not a column of the spec"),
        ('{"order_count": 2.9}', 17, "order_count is 2.9; it must be an integer or null"),
        ('{"order_count": 1e300}', 17, "order_count is 1e+300; it must be an integer or null"),
        ('{"order_count": 18446744073709551617}', 17, "order_count is 18446744073709551617, which does not fit"),
        ('{"order_count": -9223372036854775809}', 17, "order_count is -9223372036854775809, which does not fit"),
        ('{"order_count": "5"}', 17, "order_count is 5; it must be an integer or null"),
        ('{"order_count": true}', 17, "order_count is true; it must be an integer or null"),
        ('{"sales": "many"}', 11, "sales is many; it must be a number or null"),
        ('{"scope": 5}', 11, "scope is 5; it must be a string or null"),
        ('{"scope": ["org"]}', 11, 'scope is ["org"]; it must be a string or null'),
        ('{"room_ids": {}}', 14, "room_ids is {}; it must be a list of strings, a string or null"),
        ('{"visitor_ids": ["v1", null]}', 17, "visitor_ids contains null; a list may contain strings only"),
        ('{"visitor_ids": [1]}', 17, "visitor_ids contains 1; a list may contain strings only"),
    ],
)
def test_a_faulty_row_is_rejected_with_its_column(line: str, column: int, message: str) -> None:
    problem = found(line)
    assert problem is not None
    assert (problem[0], problem[1][: len(message)]) == (column, message)


@pytest.mark.parametrize("owner", [None, "", [OWNER], [OWNER, OWNER], OWNER.upper().replace("1", "A"), f"{OWNER} ", 5])
def test_a_row_without_exactly_one_organization_as_owner_is_rejected(owner: object) -> None:
    problem = found(row(owner_organization_id=owner))
    assert problem is not None
    assert problem[1].startswith("owner_organization_id is ")


def test_a_row_without_owner_or_timestamp_is_rejected() -> None:
    assert found(json.dumps({"timestamp": "2019-01-01"})) == (1, "the row has no owner (owner_organization_id)")
    assert found("{}") == (1, "the row has no timestamp (timestamp)")


@pytest.mark.parametrize(
    "timestamp",
    [
        None,
        "",
        "yesterday",
        "2019-02-30",
        "2019-1-1",
        "20190101",
        "2019-W01",
        "2019-01-01 10:00",
        "2019-01-01T24:00",
        "2019-01-01T10:00:00+0200",
        "2019-01-01T10:00:00+99:00",
        "12019-01-01",
        1546300800000,
        1.5,
    ],
)
def test_a_timestamp_that_is_not_of_the_specs_format_is_rejected(timestamp: object) -> None:
    problem = found(row(timestamp=timestamp))
    assert problem is not None
    assert "which is not a timestamp of format iso" in problem[1]


def test_a_row_outside_the_intervals_is_rejected() -> None:
    assert found(row(timestamp="2020-02-01T00:00:00.000Z")) == (
        15,
        "timestamp is 2020-02-01T00:00:00.000Z, which is outside the spec's intervals",
    )


def test_seconds_that_are_read_as_milliseconds_are_rejected_with_a_hint() -> None:
    for name in ("millis", "auto"):
        problem = found(row(timestamp=1546300800), schema(name))
        assert problem is not None
        assert problem[1].endswith("it is inside as seconds: set timestampSpec.format to 'posix'")


@pytest.mark.parametrize(
    ("name", "timestamp"),
    [
        ("posix", 1546300800),
        ("millis", 1546300800_000),
        ("micro", 1546300800_000_000),
        ("nano", 1546300800_000_000_000),
        ("auto", 1546300800_000),
        ("auto", "2019-01-01T00:00:00Z"),
    ],
)
def test_numbers_are_timestamps_in_the_specs_unit(name: str, timestamp: object) -> None:
    assert found(row(timestamp=timestamp), schema(name)) is None
    assert schema(name).is_certainly_valid(row(timestamp=timestamp).encode())


def test_a_column_that_the_spec_excludes_is_ignored() -> None:
    dimensions = json.loads((SPECS / "chat_sessions.json").read_text())["spec"]["dataSchema"]["dimensionsSpec"]
    excluding = schema(dimensionsSpec={**dimensions, "dimensionExclusions": ["note"]})
    assert found(row(note={"a": [1]}), excluding) is None
    assert found(row(notes=1), excluding) == (len(row()) + 2, "notes is not a column of the spec; did you mean note?")


# Values, keys and spellings among which faulty and valid rows are about equally likely.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(alphabet='":\\ \t,é\ud800{', max_size=5),
    st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=2),
    st.just(OWNER),
    st.just("2019-01-01"),
    st.dictionaries(st.sampled_from(["a", "sales"]), st.integers(), max_size=2),
)
KEYS = st.sampled_from([*VALID, "scope", "team_id", "order_count", "sale", "a\\", 'b":'])


@given(
    st.lists(st.tuples(KEYS, VALUES), max_size=4),
    st.sampled_from([":", ": ", " :", "\t: "]),
    st.sampled_from(["", " ", "\r", "x", "{}", "\r{}"]),
    st.booleans(),
)
def test_the_fast_check_accepts_nothing_that_the_thorough_one_rejects(
    pairs: list[tuple[str, Any]],
    colon: str,
    tail: str,
    ascii_: bool,  # noqa: FBT001
) -> None:
    both = [*VALID.items(), *pairs]
    text = ",".join(f"{json.dumps(key)}{colon}{json.dumps(value, ensure_ascii=ascii_)}" for key, value in both)
    line = f"{{{text}}}{tail}".encode(errors="surrogatepass")
    problem = SCHEMA.problem(line)
    if pairs:
        # A key occurs twice, or is new; the thorough check decides.
        assert not (SCHEMA.is_certainly_valid(line) and problem)
    if len({key for key, _ in both}) < len(both):
        assert problem
