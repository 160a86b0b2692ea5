import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.druid import row_parser as rows
from gateway.druid.row_parser import parse_rows, parse_stream

SLICES = st.integers(1, 40)
TEXTS = st.text(st.sampled_from('[]{},"\\: ab0é😀\n'), max_size=12) | st.sampled_from(
    ["],[", "},{", '"],["', '"},{"', "\\],[", "[[", "]]", "[{", ""]
)
SCALARS = (
    TEXTS | st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(TEXTS, SCALARS, max_size=2)
ROWS = st.lists(st.lists(VALUES, max_size=5), max_size=12) | st.lists(
    st.dictionaries(TEXTS, VALUES | st.lists(st.lists(SCALARS)), max_size=4), max_size=12
)
many = settings(max_examples=150, deadline=None)
# One event loop for all examples: starting one takes longer than parsing.
RUNNER = asyncio.Runner()


def parsed(raw: bytes, size: int) -> list[Any]:
    before = rows.SLICE
    rows.SLICE = size
    try:
        return RUNNER.run(parse_rows(raw))
    finally:
        rows.SLICE = before


@many
@given(ROWS, SLICES)
def test_in_slices_it_is_what_it_is_in_one_go(value: list[Any], size: int) -> None:
    raw = orjson.dumps(value)
    assert parsed(raw, size) == orjson.loads(raw)


@many
@given(ROWS, SLICES)
def test_space_around_and_between_rows_changes_nothing(value: list[Any], size: int) -> None:
    # As Druid ends its answers: with an empty line.
    raw = b" " + orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n\n"
    assert parsed(raw, size) == value


@many
@given(ROWS.filter(bool), SLICES, st.data())
def test_an_answer_that_is_cut_anywhere_is_refused(value: list[Any], size: int, data: st.DataObject) -> None:
    raw = orjson.dumps(value)
    with pytest.raises(ValueError, match=r".*"):
        parsed(raw[: data.draw(st.integers(0, len(raw) - 1))], size)


@many
@given(ROWS, ROWS, SLICES)
def test_two_answers_one_after_the_other_are_refused(first: list[Any], second: list[Any], size: int) -> None:
    for between in (b"", b",", b"\n"):
        with pytest.raises(ValueError, match=r".*"):
            parsed(orjson.dumps(first) + between + orjson.dumps(second), size)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b"{}", b'{"error": "x"}', b"5", b"null", b'"[]"', b"[1],[2]", b"[,]", b"[[1],]", b"[[1],,[2]]",
     b"[[1]][[2]]", b"[[NaN]]", b"[[1],[2]", b"[[1],[2", b"[1]]", b"<html></html>", b"[[1],[\xff]]"],
)  # fmt: skip
def test_what_is_no_whole_array_is_refused(raw: bytes, size: int) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parsed(raw, size)


async def test_others_have_their_turn_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SLICE", 100)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert len(await parse_rows(orjson.dumps([["x" * 90]] * 50))) == 50
    task.cancel()
    assert turns >= 25


OBJECTS = st.lists(st.dictionaries(TEXTS, VALUES | st.lists(st.dictionaries(TEXTS, SCALARS)), max_size=4), max_size=12)


def streamed(raw: bytes, size: int) -> list[list[Any]]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(raw), size):
            yield raw[start : start + size]

    async def collected() -> list[list[Any]]:
        return [rows async for rows in parse_stream(chunks())]

    before = rows.SLICE
    rows.SLICE = size
    try:
        return RUNNER.run(collected())
    finally:
        rows.SLICE = before


@many
@given(OBJECTS, SLICES)
def test_a_stream_has_the_objects_of_the_whole(value: list[Any], size: int) -> None:
    assert [row for part in streamed(orjson.dumps(value), size) for row in part] == orjson.loads(orjson.dumps(value))


@many
@given(OBJECTS.filter(bool), SLICES, st.data())
def test_a_stream_that_ends_early_is_an_error(value: list[Any], size: int, data: st.DataObject) -> None:
    raw = orjson.dumps(value)
    with pytest.raises(ValueError, match=r".*"):
        streamed(raw[: data.draw(st.integers(0, len(raw) - 1))], size)


def test_a_stream_is_parsed_in_slices() -> None:
    parts = streamed(orjson.dumps([{"a": "x" * 90}] * 50), 300)
    assert len(parts) > 10
    assert max(map(len, parts)) < 10


@pytest.mark.parametrize("text", ["],[" * 40, '"],[' * 40, '\\"],[\\' * 40, "],[\\"])
def test_no_slice_is_cut_within_a_string(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Each slice that does not parse is work in vain."""
    raw = orjson.dumps([[text, 1]] * 500)
    parse, sizes = rows._array, list[int]()

    def counted(piece: bytes) -> list[Any]:
        sizes.append(len(piece))
        return parse(piece)

    monkeypatch.setattr(rows, "_array", counted)
    assert parsed(raw, 1000) == [[text, 1]] * 500
    assert len(raw) <= sum(sizes) < len(raw) + 3 * len(sizes)
