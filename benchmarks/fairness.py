"""What one organization's flood, or its heavy reports, do to another's small ones: phases in turn, in one run.

A quiet organization asks for a day's documented example now and then: alone, beside another organization that asks
with many callers at once and heeds no Retry-After, alone again, beside one that asks for a year by day, user and room.
The gateway and the load are separate processes. Starts a Druid of its own with generated sessions, or
asks one that has them (--broker-url; of the same --organizations and --seed):

    python benchmarks/fairness.py --rounds 6 --seconds 5
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from time import perf_counter

import aiohttp
import psutil
from rich.console import Console

from tests.conftest import SAMPLES, load_program
from tests.load import accounts, target
from tests.load.scenario import Caller

GENERATOR = SAMPLES / "chat_sessions.py"
NEW_YEAR = datetime(2019, 1, 1)  # noqa: DTZ001 - local to the report's time zone
ZONE = "Europe/Helsinki"
QUIET_CALLERS = 2
PAUSE = 0.03
"""Seconds between two reports of a quiet caller."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """Who presses: so many callers at once."""

    callers: int
    heavy: bool


PHASES: Mapping[str, Pressure | None] = {
    "alone": None,
    "beside a flood": Pressure(60, heavy=False),
    "beside heavy reports": Pressure(15, heavy=True),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sessions", type=int, default=60_000, help="chat sessions to generate (%(default)s)")
    options.add_argument("--organizations", type=int, default=40, help="organizations to share them (%(default)s)")
    options.add_argument("--seed", type=int, default=2, help="of the generated sessions (%(default)s)")
    options.add_argument("--rounds", type=int, default=6, help="times that each phase has its turn (%(default)s)")
    options.add_argument("--seconds", type=float, default=5.0, help="of each phase (%(default)s)")
    options.add_argument("--broker-url", help="a Druid that has the sessions already")
    given = options.parse_args()
    target.VAR.mkdir(parents=True, exist_ok=True)
    database_url, secret = target.fresh_accounts()
    owners = load_program("samples", GENERATOR).organizations(given.organizations, given.seed)
    # The largest one presses; the quiet one is among the middling.
    ids = [owners[0].organization_id, owners[5].organization_id]
    pressing, quiet = asyncio.run(accounts.make(database_url, secret, ids))
    with _broker(given) as broker_url, target.gateway(broker_url, database_url, secret) as gateway:
        asyncio.run(_measure(gateway, quiet, pressing, given.rounds, given.seconds))


@contextmanager
def _broker(given: argparse.Namespace) -> Iterator[str]:
    if given.broker_url:
        yield given.broker_url
        return
    shape = {"sessions": given.sessions, "organizations": given.organizations, "seed": given.seed}
    with target.druid(Console(), GENERATOR, shape) as druid:
        yield druid.url


async def _measure(gateway: target.Process, quiet: Caller, pressing: Caller, rounds: int, seconds: float) -> None:
    times: dict[str, list[float]] = {phase: [] for phase in PHASES}
    statuses: dict[str, Counter[int]] = {phase: Counter() for phase in PHASES}
    used = Counter[str]()
    process = psutil.Process(gateway.pids[0])
    async with aiohttp.ClientSession(gateway.url, connector=aiohttp.TCPConnector(limit=0)) as session:
        await _ask_quietly(session, quiet, seconds)
        for turn in range(rounds):
            # Each phase comes after each other one, so that whatever else the machine does falls on all.
            for phase in PHASES if turn % 2 else [*PHASES][::-1]:
                with _pressed(gateway.url, pressing, PHASES[phase]) as told:
                    began = process.cpu_times()
                    times[phase] += await _ask_quietly(session, quiet, seconds)
                    used[phase] += sum(process.cpu_times()[:2]) - sum(began[:2])
                statuses[phase] += told
    _show(times, statuses, {phase: used[phase] / rounds / seconds for phase in PHASES}, rounds * seconds)


async def _ask_quietly(session: aiohttp.ClientSession, quiet: Caller, seconds: float) -> list[float]:
    until = perf_counter() + seconds
    times = []

    async def ask() -> None:
        while (began := perf_counter()) < until:
            status = await _ask(session, quiet, _small())
            if status != 200:
                raise SystemExit(f"The quiet organization was answered with {status}.")
            times.append((perf_counter() - began) * 1000)
            await asyncio.sleep(PAUSE)

    await asyncio.gather(*(ask() for _ in range(QUIET_CALLERS)))
    return times


@contextmanager
def _pressed(url: str, caller: Caller, pressure: Pressure | None) -> Iterator[Counter[int]]:
    """Press in a process of its own; what it was answered, by status, is there at the end."""
    told = Counter[int]()
    if pressure is None:
        yield told
        return
    context = multiprocessing.get_context("spawn")
    begun, over, answers = context.Event(), context.Event(), context.Queue()
    pressing = _Pressing(url, caller, pressure, begun, over, answers)
    process = context.Process(target=pressing.run)
    process.start()
    begun.wait(30)
    try:
        yield told
    finally:
        over.set()
        told.update(answers.get(timeout=60))
        process.join()


@dataclass(frozen=True, slots=True)
class _Pressing:
    """What the other process does, until it is told that it is over."""

    url: str
    caller: Caller
    pressure: Pressure
    begun: Event
    over: Event
    answers: "Queue[Counter[int]]"

    def run(self) -> None:
        # It would be on a machine of its own.
        os.nice(10)
        self.answers.put(asyncio.run(self._all_at_once()))

    async def _all_at_once(self) -> Counter[int]:
        statuses = Counter[int]()

        async def ask() -> None:
            while not self.over.is_set():
                body = _heavy() if self.pressure.heavy else _middling()
                statuses[await _ask(session, self.caller, body)] += 1
                self.begun.set()

        async with aiohttp.ClientSession(self.url, connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(ask() for _ in range(self.pressure.callers)))
        return statuses


async def _ask(session: aiohttp.ClientSession, caller: Caller, body: object) -> int:
    path = f"/api/reporting/v1/orgs/{caller.organization_id}/chat_sessions"
    headers = {"Authorization": f"Token {caller.token}"}
    async with session.post(path, data=json.dumps(body), headers=headers) as response:
        await response.read()
        return response.status


def _small() -> object:
    return {
        "interval": _interval(1),
        "aggregations": [{"type": "hyperUnique", "fields": ["visitor_ids"]}],
        "filters": {"type": "selector", "dimension": "scope", "value": "org"},
    }


def _middling() -> object:
    sums = {"type": "sum", "fields": ["sales", "order_count"]}
    return {
        "interval": _interval(30),
        "granularity": "day",
        "aggregations": [{"type": "count"}, {"type": "hyperUnique", "fields": ["visitor_ids"]}, sums],
    }


def _heavy() -> object:
    return {
        "interval": _interval(300),
        "granularity": "day",
        "group_by": ["user_id", "room_ids", "chat_type"],
        "aggregations": [{"type": "count"}, {"type": "hyperUnique", "fields": ["visitor_ids"]}],
        "filters": {"type": "selector", "dimension": "scope", "value": "user"},
        "limit": 100,
    }


def _interval(days: int) -> object:
    """Return one that no other request has at the time: identical reports share one query."""
    start = NEW_YEAR + timedelta(minutes=random.randrange((365 - days) * 24 * 60))  # noqa: S311
    return {"start": start.isoformat(), "end": (start + timedelta(days=days)).isoformat(), "time_zone": ZONE}


def _show(
    times: Mapping[str, list[float]], statuses: Mapping[str, Counter[int]], used: Mapping[str, float], seconds: float
) -> None:
    print(f"{'':22}{'reports':>9}{'p50 ms':>9}{'p99 ms':>9}{'p99 by alone':>14}{'gateway':>9}  the others, a second")
    alone = _percentile(times["alone"], 0.99)
    for phase, found in times.items():
        others = ", ".join(f"{count / seconds:.0f} x {status}" for status, count in sorted(statuses[phase].items()))
        p50, p99 = _percentile(found, 0.5), _percentile(found, 0.99)
        print(f"{phase:22}{len(found):9}{p50:9.1f}{p99:9.1f}{p99 / alone:14.2f}{used[phase]:9.0%}  {others}")


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


if __name__ == "__main__":
    main()
