"""Files are checked line by line before Druid sees them."""

import bz2
import gzip
import lzma
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.ingest.batch.row_files import Check, CheckedFiles, checked
from gateway.ingest.errors import EmptyInput, InvalidRows, UnreadableFile
from tests.unit.ingest.test_rows import SCHEMA, row, schema

ROWS = Path(__file__).parent / "rows"
OF_2022 = schema(
    granularitySpec={"rollup": False, "queryGranularity": "none", "intervals": ["2022-01-01/2023-01-01"]},
)


async def check(*paths: Path) -> CheckedFiles:
    async with checked(paths, OF_2022) as found:
        return found


@pytest.mark.parametrize(
    ("name", "where", "message"),
    [
        ("catted", "2:182", "there is text after the object"),
        ("seconds", "1:15", "timestamp is 1641376800, which is not a timestamp of format iso"),
        ("blank_line", "6:1", "the line is empty"),
        ("escape", "1:17", "not JSON: invalid control character at"),
        ("long", "1:198", "order_count is 2.9; it must be an integer"),
        ("long", "2:198", "order_count is 18446744073709551617, which does not fit in 64 bits"),
    ],
)
async def test_a_faulty_row_is_reported_with_file_line_and_column(name: str, where: str, message: str) -> None:
    path = ROWS / f"{name}.jsonl"
    with pytest.raises(InvalidRows) as caught:
        await check(path)
    errors = {error.where: error.message for error in caught.value.row_errors}
    assert message in errors.get(f"{path}:{where}", "")


async def test_a_valid_file_is_served_as_it_is() -> None:
    path = ROWS / "good.jsonl"
    found = await check(path)
    assert (found.rows, found.skipped) == (5, 0)
    [file] = found.files
    assert (file.path, file.suffix, file.size) == (path, "", path.stat().st_size)


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
async def test_compressed_files_are_read_by_their_suffix(
    suffix: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"rows.jsonl{suffix}"
    path.write_bytes(compress((ROWS / "good.jsonl").read_bytes()))
    found = await check(path)
    assert (found.rows, found.files[0].suffix) == (5, suffix)
    whole = path.read_bytes()
    path.write_bytes(whole[:-12])
    with pytest.raises(UnreadableFile, match=r"is truncated after line \d\. Copy it again"):
        await check(path)
    path.write_bytes(b"not compressed")
    with pytest.raises(UnreadableFile, match=rf"name ends in {suffix}, but its content is not"):
        await check(path)
    path = path.rename(tmp_path / "rows.jsonl")
    path.write_bytes(whole)
    with pytest.raises(UnreadableFile, match=rf"Rename it so that its name ends in {suffix}"):
        await check(path)


async def test_a_truncated_gzip_file_is_named_as_such() -> None:
    with pytest.raises(UnreadableFile, match=r"truncated\.jsonl\.gz: the compressed file is truncated after line 0"):
        await check(ROWS / "truncated.jsonl.gz")


async def test_a_damaged_gzip_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    whole = bytearray(gzip.compress((ROWS / "good.jsonl").read_bytes()))
    whole[-6] ^= 1
    path.write_bytes(whole)
    with pytest.raises(UnreadableFile, match="the compressed file is damaged"):
        await check(path)


async def test_a_zip_archive_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rows.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jsonl", "{}")
        archive.writestr("b.jsonl", "{}")
    with pytest.raises(UnreadableFile, match=r"\.zip files are not supported"):
        await check(path)


async def test_a_fifo_is_rejected_at_once(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(UnreadableFile, match="Write the rows to a file first"):
        await check(path)


async def test_a_folder_and_a_missing_file_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="it is a directory"):
        await check(tmp_path)
    with pytest.raises(UnreadableFile, match="No such file"):
        await check(tmp_path / "none.jsonl")


async def test_files_without_rows_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    with pytest.raises(EmptyInput, match=r"empty\.jsonl"):
        await check(path)


async def test_bad_rows_can_be_skipped_and_are_then_counted_listed_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(f"{row()}\n\n{row(sales='x')}\n{row(sales=2)}\n{row(sale=2)}".encode()))
    async with checked([path, path], SCHEMA, skip_bad_rows=True) as found:
        assert (found.rows, found.skipped) == (4, 6)
        assert [error.where.removeprefix(str(path)) for error in found.skipped_errors] == [
            ":2:1",
            ":3:136",
            ":5:142",
        ] * 2
        for file in found.files:
            assert file.path.read_text() == f"{row()}\n{row(sales=2)}\n"
            assert (file.suffix, file.size) == ("", file.path.stat().st_size)
    assert not found.files[0].path.exists()


async def test_skipping_every_row_is_an_empty_input(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("no\nrow\n")
    with pytest.raises(EmptyInput):
        async with checked([path], SCHEMA, skip_bad_rows=True):
            pytest.fail("there is nothing to serve")


async def test_at_most_ten_rows_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("no row\n" * 1000)
    with pytest.raises(InvalidRows) as caught:
        await check(path)
    assert len(caught.value.row_errors) == 10


async def test_a_large_file_is_checked_with_bounded_memory_and_progress(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    line = (row() + "\n").encode() * 1000
    with gzip.open(path, "wb", compresslevel=1) as out:
        for _ in range(90):
            out.write(line)
    assert len(line) * 90 > 10_000_000
    seen: list[int] = []

    def watch(check: Check) -> None:
        seen.append(check.rows)

    tracemalloc.start()
    try:
        async with checked([path], SCHEMA, on_progress=watch) as found:
            assert found.rows == 90_000
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()
    assert len(seen) >= 10
    assert seen == sorted(seen)


async def test_a_line_without_end_is_rejected_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as out:
        out.truncate(40 << 20)
    with pytest.raises(UnreadableFile, match="a line is longer than 16 MiB"):
        await check(path)


async def test_a_name_that_is_not_utf8_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"rows\xff.jsonl")
    path.write_bytes((ROWS / "good.jsonl").read_bytes())
    assert (await check(path)).rows == 5
    path.write_text("x")
    with pytest.raises(InvalidRows):
        await check(path)
