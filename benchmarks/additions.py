"""What a comparison costs beside one report over both intervals, and `top` beside the two reports that it replaces.

    eval "$(python -m druid env)"; python -m benchmarks.additions

Needs a Druid with the demo's sample data. The reports take turns within one run; no answer is reused.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.command import run, running_druid
from benchmarks.contenders import ROOT, Contender, gateway

ROUNDS = 40
ZONE = "Europe/Helsinki"
SECOND = {"start": "2019-07-01", "end": "2019-10-01", "time_zone": ZONE}
BOTH = {"start": "2019-04-01", "end": "2019-10-01", "time_zone": ZONE}
NUMBERS = [{"type": "count"}, {"type": "sum", "fields": ["sales"]}]
GROUPS = 10

Report = Mapping[str, Any]


def main() -> None:
    broker, coordinator = running_druid()
    os.environ["GATEWAY_REUSE_SECONDS"] = "0"
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        gateway("gateway", ROOT, broker, coordinator, Path(folder)) as server,
    ):
        for title, shape in (
            ("all rows", {}),
            ("by month", {"granularity": "month"}),
            ("by user", {"group_by": ["user_id"]}),
            ("by user and month", {"group_by": ["user_id"], "granularity": "month"}),
        ):
            report = {"aggregations": NUMBERS, **shape}
            compared = {**report, "interval": SECOND, "compare": {"to": "previous_period"}}
            _print(f"a comparison, {title}", server, [compared], [{**report, "interval": BOTH}])
        _print("top", server, *_top(server))


def _top(server: Contender) -> tuple[list[Report], list[Report]]:
    """Return the report with `top`, and the two that find the same groups and then ask for them."""
    report: Report = {"interval": SECOND, "aggregations": NUMBERS, "group_by": ["user_id"]}
    order = [{"column": "count", "direction": "descending"}]
    first = {**report, "order_by": order, "limit": GROUPS}
    users = [row[1] for row in measure.ask_gateway(server, json.dumps(first))["data"]]
    of_users = {"type": "in", "dimension": "user_id", "values": users}
    second = {**report, "granularity": "day", "filters": of_users}
    return [{**report, "granularity": "day", "top": {"groups": GROUPS, "by": "count"}}], [first, second]


def _print(title: str, server: Contender, asked: list[Report], instead: list[Report]) -> None:
    found: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        if number % 2:
            others = _seconds(server, instead)
            found.append((_seconds(server, asked), others))
        else:
            found.append((_seconds(server, asked), _seconds(server, instead)))
    ours, theirs = (statistics.median(times) * 1000 for times in zip(*found, strict=True))
    ratio = statistics.median(one / other for one, other in found)
    print(f"{title}: {ours:.1f} ms; {' and '.join('one' for _ in instead)} without: {theirs:.1f} ms; ratio {ratio:.2f}")


def _seconds(server: Contender, reports: list[Report]) -> float:
    began = time.perf_counter()
    for report in reports:
        measure.ask_gateway(server, json.dumps(report))
    return time.perf_counter() - began


if __name__ == "__main__":
    run(main)
