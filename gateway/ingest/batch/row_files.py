"""Files of rows: checked line by line, with bounded memory, before they are served to Druid.

Druid reads them after the check. A file that changes in between is not served (see `file_server`).
"""

import asyncio
import bz2
import gzip
import lzma
import os
import stat
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Final, cast

from gateway.druid.tasks import RowError
from gateway.ingest.batch.rows import RowProblem, RowSchema
from gateway.ingest.errors import EmptyInput, InvalidRows, UnreadableFile

_BLOCK: Final = 1 << 20
_LONGEST_LINE: Final = 16 << 20
# How much of a faulty row is shown.
_SHOWN: Final = 200
_MOST_ERRORS: Final = 10
_MOST_SKIPPED_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class _Compression:
    """`open` decompresses. `magic` are the first bytes of such a file. Druid decompresses by the suffix."""

    name: str
    suffix: str
    magic: bytes
    open: Callable[[IO[bytes]], IO[bytes]]


_COMPRESSIONS: Final = (
    _Compression("gzip", ".gz", b"\x1f\x8b", lambda raw: cast("IO[bytes]", gzip.GzipFile(fileobj=raw))),
    _Compression("bzip2", ".bz2", b"BZh", bz2.BZ2File),
    _Compression("xz", ".xz", b"\xfd7zXZ\x00", lzma.LZMAFile),
)
# Druid decompresses these by their suffix, too. Of a zip archive it reads the first file only.
_UNSUPPORTED: Final = (".zip", ".zst", ".sz", ".z")


@dataclass(frozen=True, slots=True)
class RowFile:
    """A checked file. `size` and `modified` are those it had when it was checked; `suffix` names its compression."""

    path: Path
    suffix: str
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class CheckedFiles:
    """`rows` is the number of rows that Druid must store. `skipped` rows are left out, the first of which are shown."""

    files: tuple[RowFile, ...]
    rows: int
    skipped: int
    skipped_errors: tuple[RowError, ...]


@dataclass(slots=True)
class Check:
    """The progress of a check. `bytes_read` counts bytes of the files, compressed or not."""

    bytes_total: int
    bytes_read: int = 0
    rows: int = 0
    bad: int = 0
    errors: list[RowError] = field(default_factory=list)


@asynccontextmanager
async def checked(
    paths: Sequence[Path],
    schema: RowSchema,
    *,
    skip_bad_rows: bool = False,
    on_progress: Callable[[Check], None] = lambda _: None,
) -> AsyncIterator[CheckedFiles]:
    """Check every row. With `skip_bad_rows`, give copies of the files without the faulty rows; they are deleted later.

    Raises UnreadableFile, InvalidRows and EmptyInput.
    """
    check = Check(sum(_regular(path).st_size for path in paths))
    files = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if skip_bad_rows else None
        for index, path in enumerate(paths):
            copy = folder / str(index) if folder else None
            steps = _check_file(path, schema, check, copy)
            # One block of a file at a time, so that a cancellation takes effect between two of them.
            while (found := await asyncio.to_thread(next, steps)) is None:
                on_progress(check)
            files.append(found)
        if check.errors and not skip_bad_rows:
            raise InvalidRows(check.errors)
        if not check.rows:
            raise EmptyInput(", ".join(map(str, paths)))
        yield CheckedFiles(tuple(files), check.rows, check.bad, tuple(check.errors))


def _check_file(path: Path, schema: RowSchema, check: Check, copy: Path | None) -> Iterator[RowFile | None]:
    """Yield None after each block, and the file at the end. With `copy`, the valid rows are written there."""
    lines_before = 0
    bytes_before = check.bytes_read
    most_errors = _MOST_SKIPPED_SHOWN if copy else _MOST_ERRORS
    try:
        with ExitStack() as stack:
            raw = stack.enter_context(path.open("rb"))
            status = os.fstat(raw.fileno())
            suffix, stream = _decompressed(path, raw)
            out = stack.enter_context(copy.open("wb")) if copy else None
            for lines in _blocks(path, stack.enter_context(stream)):
                bad = {number: problem for number, line in enumerate(lines) if (problem := _problem(schema, line))}
                for number, problem in islice(bad.items(), most_errors - len(check.errors)):
                    where = f"{path}:{lines_before + number + 1}:{problem.column}"
                    row = lines[number][:_SHOWN].decode(errors="replace")
                    check.errors.append(RowError(row, problem.message, where))
                if out:
                    out.writelines(line + b"\n" for number, line in enumerate(lines) if number not in bad)
                elif len(check.errors) == most_errors:
                    raise InvalidRows(check.errors)
                lines_before += len(lines)
                check.rows += len(lines) - len(bad)
                check.bad += len(bad)
                check.bytes_read = bytes_before + raw.tell()
                yield None
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        what = "is truncated" if isinstance(error, EOFError) else f"is damaged ({error})"
        raise UnreadableFile(path, f"the compressed file {what} after line {lines_before}. Copy it again.") from error
    except OSError as error:
        raise UnreadableFile(path, f"{error.strerror or error}.") from error
    if copy:
        status, suffix = copy.stat(), ""
    yield RowFile(copy or path, suffix, status.st_size, status.st_mtime_ns)


def _problem(schema: RowSchema, line: bytes) -> RowProblem | None:
    return None if schema.is_certainly_valid(line) else schema.problem(line)


def _regular(path: Path) -> os.stat_result:
    """Druid reads its input more than once, and only a regular file can be read again."""
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableFile(path, f"{error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file, and Druid reads its input twice"
        raise UnreadableFile(path, f"it is {kind}. Write the rows to a file first.")
    return status


def _decompressed(path: Path, raw: IO[bytes]) -> tuple[str, IO[bytes]]:
    if path.suffix.lower() in _UNSUPPORTED:
        raise UnreadableFile(path, f"{path.suffix} files are not supported. Unpack it, or compress it with gzip.")
    start = raw.read(8)
    raw.seek(0)
    for each in _COMPRESSIONS:
        is_compressed, has_suffix = start.startswith(each.magic), path.suffix == each.suffix
        if is_compressed and has_suffix:
            return each.suffix, each.open(raw)
        if is_compressed:
            raise UnreadableFile(path, f"its content is {each.name}. Rename it so that its name ends in {each.suffix}.")
        if has_suffix and start:
            raise UnreadableFile(path, f"its name ends in {each.suffix}, but its content is not {each.name}.")
    return "", raw


def _blocks(path: Path, stream: IO[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines of a file, without line feeds, in lists of about a block's size."""
    rest = b""
    while block := stream.read(_BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise UnreadableFile(path, f"a line is longer than {_LONGEST_LINE >> 20} MiB. Is each row on its own line?")
        yield lines
    if rest:
        yield [rest]
