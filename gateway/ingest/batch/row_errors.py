"""Which lines of local files Druid cannot read, in its own words, and whether there are any.

With `maxParseExceptions: 0` a task fails at the first such row, which is right: a row that is left out makes a wrong
number. But the phase that looks for where to cut by range keeps no report of the row: Druid's API says "Max parse
exceptions[0] exceeded" and no more (33.0.0). So the lines go through Druid's sampler, which is the same parser.
"""

import bz2
import gzip
import itertools
import lzma
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import orjson

from gateway.ingest.batch.reports import RowError
from gateway.ingest.batch.spec import BatchSpec
from gateway.ingest.druid_client import DruidClient

SAYS_SO = "Max parse exceptions"
LINES_AT_ONCE = 2_000


async def find(
    client: DruidClient, spec: BatchSpec, files: Sequence[Path], *, most: int = 10, seconds: float = 60
) -> list[RowError]:
    """The first `most` of them; fewer, or none, when that takes more than `seconds`."""
    found: list[RowError] = []
    deadline = time.monotonic() + seconds
    for path, lines in _batches(files):
        if time.monotonic() > deadline:
            break
        rows = await client.sample(spec.sampler(len(lines), [line for _, line in lines]))
        # One row a line, in order; if the format makes it otherwise, better no line numbers than wrong ones.
        numbered = len(rows) == len(lines)
        for index, row in enumerate(rows):
            if row.get("error"):
                number, line = lines[index] if numbered else (None, "")
                text = line or orjson.dumps(row.get("input")).decode()
                found.append(RowError(text, _reason(row["error"]), f"{path}:{number}" if number else str(path)))
        if len(found) >= most:
            break
    return found[:most]


def have_rows(files: Sequence[Path]) -> bool:
    """Whether any of them has a line that is not empty."""
    return next(_batches(files), None) is not None


def _reason(error: str) -> str:
    """Of a value that does not fit its column the sampler tells the whole row twice, and the reason at the end."""
    _, found, reason = error.rpartition("exceptions: [")
    return reason.removesuffix("]") if found else error


def _batches(files: Sequence[Path]) -> Iterator[tuple[Path, list[tuple[int, str]]]]:
    for path in files:
        with _open(path) as file:
            numbered = ((number, line.rstrip("\r\n")) for number, line in enumerate(file, start=1))
            lines = ((number, line) for number, line in numbered if line)
            while batch := list(itertools.islice(lines, LINES_AT_ONCE)):
                yield path, batch


def _open(path: Path) -> IO[str]:
    match path.suffix:
        case ".gz":
            return gzip.open(path, "rt", encoding="utf-8", errors="replace")
        case ".bz2":
            return bz2.open(path, "rt", encoding="utf-8", errors="replace")
        case ".xz":
            return lzma.open(path, "rt", encoding="utf-8", errors="replace")
        case _:
            return path.open(encoding="utf-8", errors="replace")
