"""How long answers of 100,000 rows take in each response format, measured in turns within one run.

A server that answers at once stands in for Druid, so that the gateway's own work decides. The time ends with the last
byte; the time until the rows are values adds what reading them takes in Python, with the library that most would use.

    python -m benchmarks.formats
"""

import csv
import http.client
import io
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa

from benchmarks import contenders
from benchmarks.command import BenchError, run
from benchmarks.contenders import ROOT, Contender
from gateway.query.literals import Json

ROWS = 100_000
ROUNDS = 9
FORMATS: Mapping[str, Callable[[bytes], object]] = {
    "json": json.loads,
    "csv": lambda body: list(csv.reader(io.StringIO(body.decode()))),
    "ndjson": lambda body: list(map(json.loads, body.splitlines())),
    "arrow": lambda body: pa.ipc.open_stream(body).read_all(),
}
"""How a program reads the body of each format."""
CODINGS = ("identity", "gzip", "zstd")
COUNT = {"type": "count"}
REPORTS = {
    "two ids, a count and a sum": {
        "group_by": ["chat_session_id", "user_id"],
        "aggregations": [COUNT, {"type": "sum", "fields": ["sales"]}],
    },
    "an id, a count and five other numbers": {
        "group_by": ["chat_session_id"],
        "aggregations": [
            COUNT,
            *({"type": kind, "fields": ["sales"]} for kind in ("sum", "min", "max", "avg")),
            {"type": "sum", "fields": ["order_count"]},
        ],
    },
}


def main() -> None:
    """Print a table for each report."""
    with (
        tempfile.TemporaryDirectory() as name,
        contenders.canned_druid(Path(name) / "druid.log") as druid,
        contenders.gateway("formats", ROOT, druid, druid, Path(name)) as gateway,
    ):
        for title, report in REPORTS.items():
            _compare(gateway, title, report)


def _compare(gateway: Contender, title: str, report: Json) -> None:
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    cpu: dict[tuple[str, str], list[float]] = defaultdict(list)
    reading: dict[str, list[float]] = defaultdict(list)
    sizes: dict[tuple[str, str], int] = {}
    for number in range(ROUNDS + 1):
        for coding in CODINGS:
            for form, read in FORMATS.items():
                before, began = gateway.cpu_seconds() or 0, time.perf_counter()
                body = _ask(gateway, report, form, coding, number)
                if not number:
                    continue
                times[form, coding].append(time.perf_counter() - began)
                cpu[form, coding].append((gateway.cpu_seconds() or 0) - before)
                sizes[form, coding] = len(body)
                if coding == "identity":
                    began = time.perf_counter()
                    read(body)
                    reading[form].append(time.perf_counter() - began)
    base = statistics.median(times["json", "identity"])
    print(f"| {ROWS:,} rows: {title} | time | relative to JSON | until the rows are values | CPU time | MB |")
    print("|---|---|---|---|---|---|")
    for (form, coding), found in times.items():
        took = statistics.median(found)
        values = f"{(took + statistics.median(reading[form])) * 1000:.0f} ms" if coding == "identity" else ""
        used, megabytes = statistics.mean(cpu[form, coding]) * 1000, sizes[form, coding] / 1e6
        name = f"{form} {coding}".removesuffix(" identity")
        print(f"| {name} | {took * 1000:.0f} ms | {took / base:.2f} | {values} | {used:.0f} ms | {megabytes:.1f} |")
    print()


def _ask(gateway: Contender, report: Json, form: str, coding: str, number: int) -> bytes:
    """Request the report, another one in each round, and return the body."""
    interval = {"start": f"2019-01-01T00:00:00.{number:03}", "end": "2019-02-01"}
    headers = {"Content-Type": "application/json", "Accept-Encoding": coding, "Cache-Control": "no-cache"}
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=120)
    try:
        body = json.dumps(report | {"limit": ROWS, "interval": interval})
        connection.request("POST", f"{gateway.path}?format={form}", body, {**headers, **gateway.headers})
        response = connection.getresponse()
        received = response.read()
        if response.status != 200:
            raise BenchError(received.decode())
        return received
    finally:
        connection.close()


if __name__ == "__main__":
    run(main)
