"""How much two workers answer, compared with one, in front of a stand-in for Druid.

    python -m benchmarks.workers

Needs wrk. On a machine whose cores are busy otherwise, the requests per second say little: what two workers can do at
most follows from their CPU time per request, and from how evenly they share the requests.
"""

import json
import os
import statistics
import tempfile
from pathlib import Path

import psutil

from benchmarks import measure
from benchmarks.command import run
from benchmarks.contenders import ROOT, Contender, canned_druid, gateway
from benchmarks.measure import Load, Requests
from benchmarks.questions import ALL_QUESTIONS

CALLERS = 32
SECONDS = 4
ROUNDS = 5


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, canned_druid(Path(folder) / "canned.log") as url:
        os.environ |= {"GATEWAY_DRUID_QUERIES": "64", "GATEWAY_DRUID_HEAVY_QUERIES": "32"}
        with (
            gateway("one", ROOT, url, url, Path(folder)) as one,
            gateway("two", ROOT, url, url, Path(folder), workers=2) as two,
        ):
            _compare(one, two)


def _compare(one: Contender, two: Contender) -> None:
    question = ALL_QUESTIONS[0]
    requests = Requests(question, json.dumps(question.report))
    rates: dict[str, list[float]] = {one.name: [], two.name: []}
    cpu: dict[str, list[float]] = {one.name: [], two.name: []}
    largest_shares = []
    sent = 0
    for _ in range(ROUNDS):
        for contender in (one, two):
            before = _worker_seconds(contender)
            measured = measure.send(contender, requests, Load(CALLERS, SECONDS, sent))
            sent += measured.requests + CALLERS
            rates[contender.name].append(measured.per_second)
            cpu[contender.name].append(measured.cpu or 0.0)
            if contender is two:
                used = [after - since for after, since in zip(_worker_seconds(two), before, strict=True)]
                largest_shares.append(max(used) / sum(used))
    for name, found in rates.items():
        print(
            f"{name}: {statistics.median(found):,.0f} per second, {statistics.median(cpu[name]):.3f} ms CPU per request"
        )
    ratios = [more / less for more, less in zip(rates[two.name], rates[one.name], strict=True)]
    cost = statistics.median(cpu[two.name]) / statistics.median(cpu[one.name])
    share = statistics.median(largest_shares)
    print(f"two relative to one: {statistics.median(ratios):.2f}; the busier worker has {share:.0%} of the work")
    print(f"with a free core for each worker: {1 / (share * cost):.2f}")


def _worker_seconds(contender: Contender) -> list[float]:
    children = psutil.Process(contender.pid).children()
    return [sum(child.cpu_times()[:2]) for child in sorted(children, key=lambda child: child.pid)]


if __name__ == "__main__":
    run(main)
