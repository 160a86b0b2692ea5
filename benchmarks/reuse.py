"""What reuse saves: the documented example repeated by 8 callers, and a year-long report that Druid confirms.

    eval "$(python -m druid env)"; python -m benchmarks.reuse

Needs wrk, and a Druid with the demo's sample data. Druid and the gateway take turns within one run.
"""

import http.client
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import measure
from benchmarks.command import run, running_druid
from benchmarks.contenders import QUERY_PATH, ROOT, Contender, gateway
from benchmarks.measure import Load, Requests
from benchmarks.questions import ALL_QUESTIONS, START

CALLERS = 8
SECONDS = 4
ROUNDS = 5
REUSE_SECONDS = 0.02
YEAR = {
    "interval": {"start": "2019-01-01", "end": "2020-01-01", "time_zone": "Europe/Helsinki"},
    "granularity": "day",
    "aggregations": [
        {"type": "count"},
        {"type": "hyperUnique", "fields": ["visitor_ids"]},
        {"type": "sum", "fields": ["sales"]},
    ],
}


def main() -> None:
    broker, coordinator = running_druid()
    druid = Contender("Druid", broker, QUERY_PATH, speaks_druid=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with gateway("gateway", ROOT, broker, coordinator, Path(folder)) as server:
            _repeat_example(druid, server)
        os.environ["GATEWAY_REUSE_SECONDS"] = str(REUSE_SECONDS)
        with gateway("confirming", ROOT, broker, coordinator, Path(folder)) as server:
            _confirm_year(server)


def _repeat_example(druid: Contender, server: Contender) -> None:
    question = ALL_QUESTIONS[0]
    report = json.dumps(question.report)
    body = Requests(question, report).body(0)
    native = measure.ask_gateway(server, body, "?explain=true")["queries"]["report"]
    first = native["intervals"].split("/")[0]
    requests = (
        (server, Requests(question, report)),
        (druid, Requests(question, json.dumps(native).replace(first, START))),
    )
    rates: dict[str, list[float]] = {druid.name: [], server.name: []}
    cpu: list[float] = []
    for _ in range(ROUNDS):
        for contender, sent in requests:
            load = Load(CALLERS, SECONDS, 0, repeated=True)
            measured = measure.send(contender, sent, load)
            rates[contender.name].append(measured.per_second)
            cpu += [measured.cpu] if measured.cpu else []
    ratios = [ours / theirs for ours, theirs in zip(rates[server.name], rates[druid.name], strict=True)]
    for name, found in rates.items():
        print(f"{name}: the example, {CALLERS} callers: {statistics.median(found):,.0f} answers per second")
    print(f"gateway relative to Druid: {statistics.median(ratios):.2f}; CPU per answer {statistics.median(cpu):.3f} ms")


def _confirm_year(server: Contender) -> None:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    times: dict[str, list[float]] = {}

    def ask(headers: dict[str, str]) -> None:
        began = time.perf_counter()
        connection.request("POST", server.path, json.dumps(YEAR), {**server.headers, **headers})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise SystemExit(f"The gateway answered with {response.status}.")
        times.setdefault(response.headers["Cache-Status"], []).append((time.perf_counter() - began) * 1000)

    for _ in range(10 * ROUNDS):
        ask({"Cache-Control": "no-cache"})
        time.sleep(2 * REUSE_SECONDS)
        ask({})
    medians = {status: statistics.median(found) for status, found in times.items()}
    for status, median in medians.items():
        print(f"a year by day: {status}: {median:.1f} ms, {len(times[status])} answers")
    computed, confirmed = medians["gateway; fwd=request"], medians["gateway; fwd=stale; fwd-status=304"]
    print(f"confirmed relative to computed: {confirmed / computed:.2f}")


if __name__ == "__main__":
    run(main)
