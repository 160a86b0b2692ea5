"""How long an answer of 100,000 rows takes in each response format, measured in turns within one run.

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

ROWS = 100_000
ROUNDS = 9
FORMATS = ("json", "csv", "ndjson", "arrow")
CODINGS = ("identity", "gzip", "zstd")
REPORT = {
    "group_by": ["chat_session_id", "user_id"],
    "aggregations": [{"type": "count"}, {"type": "sum", "fields": ["sales"]}],
    "limit": ROWS,
}


def main() -> None:
    """Print a table."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    cpu: dict[tuple[str, str], list[float]] = defaultdict(list)
    sizes: dict[tuple[str, str], int] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        contenders.canned_druid(Path(name) / "druid.log") as druid,
        contenders.gateway("formats", ROOT, druid, druid, Path(name)) as gateway,
    ):
        for number in range(ROUNDS + 1):
            for coding in CODINGS:
                for form in FORMATS:
                    before, began = gateway.cpu_seconds() or 0, time.perf_counter()
                    size = _ask(gateway, form, coding, number)
                    if number:
                        times[form, coding].append(time.perf_counter() - began)
                        cpu[form, coding].append((gateway.cpu_seconds() or 0) - before)
                        sizes[form, coding] = size
    base = statistics.median(times["json", "identity"])
    print(f"| {ROWS:,} rows | time | relative to JSON | CPU time | MB |\n|---|---|---|---|---|")
    for key, found in times.items():
        title, took = " ".join(key).removesuffix(" identity"), statistics.median(found)
        used, megabytes = statistics.median(cpu[key]) * 1000, sizes[key] / 1e6
        print(f"| {title} | {took * 1000:.0f} ms | {took / base:.2f} | {used:.0f} ms | {megabytes:.1f} |")


def _ask(gateway: Contender, form: str, coding: str, number: int) -> int:
    """Request the report, another one in each round, and return the length of the body."""
    interval = {"start": f"2019-01-01T00:00:00.{number:03}", "end": "2019-02-01"}
    headers = {"Content-Type": "application/json", "Accept-Encoding": coding, "Cache-Control": "no-cache"}
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=120)
    try:
        body = json.dumps(REPORT | {"interval": interval})
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
