"""Whether a small organization's reports take longer when others have more data: with 1, 10 and 50 times their rows.

    eval "$(python -m druid env)"; python -m benchmarks.growth

Ingests three data sources, which it removes at the end. The reports take turns between them within one run; no answer
is reused.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from benchmarks.command import run, running_druid
from benchmarks.contenders import ORGANIZATION, ROOT, Contender, gateway
from benchmarks.questions import ALL_QUESTIONS

TIMES = (1, 10, 50)
SESSIONS = 5_000
ROUNDS = 60
QUESTIONS = [each for each in ALL_QUESTIONS if each.rows is None]
SPECS = ROOT / "ingestion-specs"

Row = dict[str, Any]


def main() -> None:
    broker, coordinator = running_druid()
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        folder = Path(name)
        rows = _generated(folder)
        try:
            for times in TIMES:
                _ingest(rows, times, folder, broker, coordinator)
            os.environ |= {"GATEWAY_CATALOG": str(folder / "catalog"), "GATEWAY_REUSE_SECONDS": "0"}
            with gateway("growth", ROOT, broker, coordinator, folder) as server:
                _measure(server)
        finally:
            for times in TIMES:
                connection = http.client.HTTPConnection(urlsplit(coordinator).netloc, timeout=30)
                connection.request("DELETE", f"/druid/coordinator/v1/datasources/growth_{times}")
                connection.getresponse().close()


def _generated(folder: Path) -> Sequence[Row]:
    """Return sample rows, in which the smallest organization is the one that the benchmarks ask about."""
    file = folder / "rows.jsonl"
    generator = SPECS / "samples" / "chat_sessions.py"
    shape = ("--sessions", str(SESSIONS), "--organizations", "12", "--seed", "1")
    subprocess.run([sys.executable, generator, *shape, "--out", file], check=True, capture_output=True)
    text = file.read_text(encoding="utf-8")
    owners = Counter(json.loads(line)["owner_organization_id"] for line in text.splitlines())
    smallest, count = owners.most_common()[-1]
    print(
        f"{count} rows of the organization, {owners.total() - count} rows of others, {', '.join(map(str, TIMES))} times"
    )
    swapped = text.replace(ORGANIZATION, "@").replace(smallest, ORGANIZATION).replace("@", smallest)
    return [json.loads(line) for line in swapped.splitlines()]


def _grown(rows: Sequence[Row], times: int) -> Iterator[Row]:
    """Yield the organization's rows once, and those of the others several times, each time of other organizations."""
    for row in rows:
        yield row
        if row["owner_organization_id"] != ORGANIZATION:
            for number in range(1, times):
                owner = str(uuid5(NAMESPACE_URL, f"{row['owner_organization_id']}/{number}"))
                yield row | {"owner_organization_id": owner, "involved_organization_ids": [owner]}


def _ingest(rows: Sequence[Row], times: int, folder: Path, broker: str, coordinator: str) -> None:
    """Ingest a data source, and describe it by a data set."""
    data, spec = folder / "grown.jsonl", folder / "spec.json"
    with data.open("w", encoding="utf-8") as out:
        out.writelines(f"{json.dumps(row)}\n" for row in _grown(rows, times))
    source = f"growth_{times}"
    task = json.loads((SPECS / "chat_sessions.json").read_text(encoding="utf-8"))
    task["spec"]["dataSchema"]["dataSource"] = source
    spec.write_text(json.dumps(task), encoding="utf-8")
    (folder / "catalog").mkdir(exist_ok=True)
    described = (ROOT / "gateway" / "catalog" / "datasets" / "chat_sessions.yaml").read_text(encoding="utf-8")
    described = described.replace("\nname: chat_sessions\n", f"\nname: {source}\n")
    described = described.replace("\ndata_source: chat_sessions\n", f"\ndata_source: {source}\n")
    (folder / "catalog" / f"{source}.yaml").write_text(described, encoding="utf-8")
    command = (str(Path(sys.executable).with_name("gateway")), "ingest", str(spec), "--data", str(data))
    urls = ("--broker", broker, "--overlord", coordinator)
    environment = {**os.environ, "GATEWAY_CATALOG": str(folder / "catalog")}
    subprocess.run([*command, *urls], check=True, capture_output=True, env=environment)


def _measure(server: Contender) -> None:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def ask(body: str, times: int) -> float:
        path = server.path.replace("chat_sessions", f"growth_{times}")
        began = time.perf_counter()
        connection.request("POST", path, body, {**server.headers, "Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise SystemExit(f"The gateway answered with {response.status}.")
        return (time.perf_counter() - began) * 1000

    print(
        "| report | "
        + " | ".join(f"{times} times" for times in TIMES)
        + " | last relative to first |\n"
        + "|---" * 5
        + "|"
    )
    for question in QUESTIONS:
        body = question.body(f"{question.first:%Y-%m-%dT%H:%M:%SZ}")
        found: dict[int, list[float]] = {times: [] for times in TIMES}
        for number in range(ROUNDS):
            # Each has the first turn in another round.
            for times in (*TIMES[number % len(TIMES) :], *TIMES[: number % len(TIMES)]):
                found[times].append(ask(body, times))
        medians = [statistics.median(found[times]) for times in TIMES]
        ratio = statistics.median(last / first for first, last in zip(found[TIMES[0]], found[TIMES[-1]], strict=True))
        print(f"| {question.title} | " + " | ".join(f"{each:.1f} ms" for each in medians) + f" | {ratio:.2f} |")


if __name__ == "__main__":
    run(main)
