"""How long answers of 100,000 rows take in each response format, measured in turns within one run.

A server that answers at once stands in for Druid, so that the gateway's own work decides:

    python -m benchmarks.formats
"""

import http.client
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import contenders
from benchmarks.contenders import ROOT, Contender
from gateway.query.literals import Json

ROWS = 100_000
ROUNDS = 9
FORMATS = ("json", "csv", "ndjson", "arrow")
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
    sizes: dict[tuple[str, str], int] = {}
    for number in range(ROUNDS + 1):
        for coding in CODINGS:
            for form in FORMATS:
                before, began = gateway.cpu_seconds() or 0, time.perf_counter()
                size = _ask(gateway, report, form, coding, number)
                if number:
                    times[form, coding].append(time.perf_counter() - began)
                    cpu[form, coding].append((gateway.cpu_seconds() or 0) - before)
                    sizes[form, coding] = size
    base = statistics.median(times["json", "identity"])
    print(f"| {ROWS:,} rows: {title} | time | relative to JSON | CPU time | MB |\n|---|---|---|---|---|")
    for key, found in times.items():
        form, took = " ".join(key).removesuffix(" identity"), statistics.median(found)
        used, megabytes = statistics.mean(cpu[key]) * 1000, sizes[key] / 1e6
        print(f"| {form} | {took * 1000:.0f} ms | {took / base:.2f} | {used:.0f} ms | {megabytes:.1f} |")
    print()


def _ask(gateway: Contender, report: Json, form: str, coding: str, number: int) -> int:
    """Request the report, another one in each round, and return the length of the body."""
    interval = {"start": f"2019-01-01T00:00:00.{number:03}", "end": "2019-02-01"}
    headers = {"Content-Type": "application/json", "Accept-Encoding": coding, "Cache-Control": "no-cache"}
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=120)
    try:
        body = json.dumps(report | {"limit": ROWS, "interval": interval})
        connection.request("POST", f"{gateway.path}?format={form}", body, {**headers, **gateway.headers})
        response = connection.getresponse()
        received = response.read()
        if response.status != 200:
            raise contenders.BenchError(received.decode())
        return len(received)
    finally:
        connection.close()


if __name__ == "__main__":
    main()
