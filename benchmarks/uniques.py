"""How far off and how long: the sketch and the hyperUnique metric side by side in one run.

Each organization's distinct visitors are asked for month by month and over the whole time, through the gateway's own
compiler and broker client; the exact numbers are counted from the very rows that are ingested. Needs a running Druid
(`python -m druid start`), and a few minutes:

    python benchmarks/uniques.py --sessions 100000 --organizations 60
"""

import argparse
import asyncio
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from druid.cluster import Cluster
from gateway import ingest
from gateway.catalog.id_format import UUID
from gateway.catalog.model import Dataset
from gateway.druid.api.broker import Broker
from gateway.druid.api.connection import Outgoing
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.row_parser import parse_rows
from gateway.query.aggregations import Uniques
from gateway.query.compile import compile_report
from gateway.query.limits import Limits
from gateway.query.parse import parse
from gateway.query.plan import plan
from gateway.query.respond import Result, respond
from gateway.query.schema import compile_schema
from gateway.tenancy.organization_id import OrganizationId
from gateway.tenancy.principal import REPORTS, Principal
from gateway.tenancy.tenant import Standing, Tenant, authorize
from tests.datasets import CHAT_SESSIONS, DATASETS, NOW

SPECS = Path(__file__).parent.parent / "ingestion-specs"
YEAR = {"start": "2019-01-01", "end": "2020-01-01"}
VISITORS = {"type": "hyperUnique", "fields": ["visitor_ids"]}
ROUNDS = 5
SCHEMA = compile_schema(CHAT_SESSIONS, Limits())


class Alone:
    """No organization knows another one."""

    async def standing(self, organization_id: str, other_id: str) -> Standing:  # noqa: ARG002 - always the same
        return Standing.ABSENT


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sessions", type=int, default=100_000, help="chat sessions to generate (%(default)s)")
    options.add_argument("--organizations", type=int, default=60, help="organizations to share them (%(default)s)")
    given = options.parse_args()
    cluster = Cluster.from_environment()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chat_sessions.jsonl"
        shape = ["--sessions", str(given.sessions), "--organizations", str(given.organizations), "--seed", "2"]
        subprocess.run([sys.executable, SPECS / "samples/chat_sessions.py", *shape, "--out", file], check=True)
        dataset = replace(CHAT_SESSIONS, data_source=f"benchmark_{secrets.token_hex(4)}")
        spec = ingest.parse(
            "chat_sessions.json", (SPECS / "chat_sessions.json").read_text(), DATASETS, brings_files=True
        )
        druid = ingest.DruidUrls.parse(cluster.coordinator_url, cluster.broker_url)
        asyncio.run(ingest.ingest(spec, druid, files=[file], data_source=dataset.data_source))
        exact = _exact(file)
    asyncio.run(_compare(dataset, ServiceUrl(cluster.broker_url), exact))


def _exact(file: Path) -> dict[str, dict[str, set[str]]]:
    """Return the visitors of each organization, by month and in all ("2019"), of the year 2019 UTC."""
    visitors: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["timestamp"].startswith("2019"):
                owner = visitors[row["owner_organization_id"]]
                owner[row["timestamp"][:7]].update(row["visitor_ids"])
                owner["2019"].update(row["visitor_ids"])
    return visitors


async def _compare(dataset: Dataset, broker_url: ServiceUrl, exact: dict[str, dict[str, set[str]]]) -> None:
    errors: dict[Uniques, list[float]] = {uniques: [] for uniques in Uniques}
    times: dict[tuple[Uniques, bool], list[float]] = {
        (uniques, large): [] for uniques in Uniques for large in (False, True)
    }
    biggest = max(exact, key=lambda owner: len(exact[owner]["2019"]))
    async with Broker(broker_url) as broker:
        for turn in range(ROUNDS):
            for owner, visitors in exact.items():
                principal = Principal("-", OrganizationId(owner), frozenset({REPORTS}), "-")
                tenant = await authorize(principal, owner, UUID, Alone())
                # Which is first changes, so that whatever else the machine does falls on both.
                for uniques in Uniques if turn % 2 else reversed(Uniques):
                    started = perf_counter()
                    found = await _ask(broker, dataset, tenant, uniques)
                    times[uniques, owner == biggest].append((perf_counter() - started) * 1000)
                    if turn == 0:
                        errors[uniques] += [abs(found[key] / len(visitors[key]) - 1) for key in found if visitors[key]]
    print(f"{len(exact)} organizations, the largest with {len(exact[biggest]['2019'])} visitors; 2019, and by month")
    print(f"{'':8}{'median':>9}{'p95':>9}{'worst':>9}{'over 2 %':>10}{'ms, most':>10}{'ms, largest':>13}")
    for uniques in Uniques:
        errs = sorted(errors[uniques])
        print(
            f"{uniques.value:8}{statistics.median(errs):9.2%}{errs[int(len(errs) * 0.95)]:9.2%}{errs[-1]:9.2%}"
            f"{sum(error > 0.02 for error in errs) / len(errs):10.1%}"
            f"{statistics.median(times[uniques, False]):10.1f}{statistics.median(times[uniques, True]):13.1f}"
        )


async def _ask(broker: Broker, dataset: Dataset, tenant: Tenant, uniques: Uniques) -> dict[str, float]:
    """Return the visitors of 2019 ("2019") and of each of its months ("2019-01")."""
    found: dict[str, float] = {}
    for granularity, length in (("all", 4), ("month", 7)):
        body = {"interval": YEAR, "granularity": granularity, "aggregations": [VISITORS]}
        planned = plan(parse(body, SCHEMA), tenant, replace(SCHEMA, dataset=dataset), uniques, now=NOW)
        query = compile_report(planned)
        query_id, deadline = secrets.token_hex(16), asyncio.get_running_loop().time() + 60
        context = {**query.native["context"], "queryId": query_id}
        sent = json.dumps({**query.native, "context": context}).encode()
        exchange = await broker.query(Outgoing(sent, {}, query_id, lambda _: None, deadline))
        native = await parse_rows((await exchange.response).body)
        rows = [row for each in respond(planned, {"report": Result(query, native)}).slices() for row in each.rows]
        found |= {start[:length]: unique for start, unique in rows}
    return found


if __name__ == "__main__":
    main()
