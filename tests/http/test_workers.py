"""Several workers behind one address: none of them is missed, and a restart fails no request."""

import asyncio
import gc
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import psutil
import pytest

from tests.faults.waiting import until
from tests.http.asking import COUNT
from tests.http.conftest import Process, StartProcess
from tests.http.stand_in import StandIn
from tests.serving import P

pytestmark = pytest.mark.slow

RESTARTS = 10
CALLERS = 8


def _workers(process: Process) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(process.process.pid).children()
    return found


def _events(process: Process, name: str) -> int:
    return sum(line["event"] == name for line in process.lines())


@asynccontextmanager
async def _load(process: Process) -> AsyncIterator[Counter[str]]:
    """Let callers with connections of their own repeat a report; the value counts the outcomes."""
    outcomes: Counter[str] = Counter()
    gateway = process.client.gateway
    headers = {"Authorization": f"Token {gateway.tokens[P]}"}

    async def ask_for_ever() -> None:
        async with aiohttp.ClientSession(gateway.url) as session:
            while True:
                try:
                    async with session.post(gateway.path(P), data=json.dumps(COUNT), headers=headers) as response:
                        await response.read()
                        outcomes[str(response.status)] += 1
                except aiohttp.ClientError as error:
                    outcomes[repr(error)] += 1

    # A collection of the tests' large heap would keep all callers from sending for seconds on a busy machine, and a
    # worker that ends waits one second for the next requests of its callers.
    gc.collect()
    gc.freeze()
    callers = [asyncio.create_task(ask_for_ever()) for _ in range(CALLERS)]
    try:
        yield outcomes
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        gc.unfreeze()


async def test_rolling_restarts_fail_no_request(start_process: StartProcess, druid_stand_in: StandIn) -> None:
    async with start_process(druid_stand_in.url, workers=2, requests_per_minute=10**9, reuse_seconds=1) as process:
        async with _load(process) as outcomes:
            for number in range(RESTARTS):
                before = {worker.pid for worker in _workers(process)}
                process.process.send_signal(signal.SIGHUP)

                async def is_restarted(restarts: int = number + 1) -> bool:
                    return _events(process, "workers_restarted") == restarts

                await until(is_restarted)
                after = {worker.pid for worker in _workers(process)}
                assert len(after) == 2
                assert not before & after
        assert outcomes.keys() == {"200"}
        assert outcomes["200"] > RESTARTS * CALLERS
        process.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.process.wait(), 60) == 0


async def test_a_dead_worker_is_replaced_and_metrics_are_those_of_all(
    start_process: StartProcess, druid_stand_in: StandIn
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        metrics_port = listener.getsockname()[1]
    requests = 'gateway_requests_total{code="",data_set="chat_sessions",status="200"}'

    async def scrape() -> dict[str, float]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{metrics_port}/metrics") as found:
            lines = [line for line in (await found.text()).splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    async with start_process(druid_stand_in.url, workers=2, metrics_port=metrics_port) as process:
        for _ in range(5):
            assert (await process.client.post()).status == 200
        assert (await scrape())[requests] == 5
        killed, other = _workers(process)
        os.kill(killed.pid, signal.SIGKILL)

        async def is_replaced() -> bool:
            return _events(process, "listening") == 3

        await until(is_replaced)
        assert other.pid in {worker.pid for worker in _workers(process)}
        assert _events(process, "worker_ended") == 1
        async with aiohttp.ClientSession() as session, session.get(f"{process.client.gateway.url}/healthz") as response:
            assert response.status == 200
        seen = await scrape()
        assert seen[requests] == 5, "the counters of an ended worker stay"
        assert seen["process_resident_memory_bytes"] > sum(worker.memory_info().rss for worker in _workers(process)) / 2


async def test_workers_end_with_their_supervisor(start_process: StartProcess, druid_stand_in: StandIn) -> None:
    async with start_process(druid_stand_in.url, workers=2) as process:
        workers = _workers(process)
        process.process.kill()
        gone, alive = await asyncio.to_thread(psutil.wait_procs, workers, 30)
        assert (len(gone), alive) == (2, [])


async def test_workers_that_cannot_start_end_the_command(start_process: StartProcess, druid_stand_in: StandIn) -> None:
    # A worker connects to the database when it starts, the supervisor does not.
    absent = "postgresql://user@127.0.0.1:1/absent"
    with pytest.raises(AssertionError, match="workers could not start"):
        async with start_process(druid_stand_in.url, workers=2, database_url=absent):
            pass
