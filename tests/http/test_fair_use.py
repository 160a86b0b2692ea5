"""CPU time: no input occupies the event loop for long, and an organization that uses too much of it is refused."""

import asyncio
import json
from typing import Any

import pytest

from gateway.web.cpu_budget import CpuBudget, metered
from gateway.web.worker import Worker
from tests.http.asking import COUNT, DAY, Client, assert_problem
from tests.http.conftest import Start
from tests.http.stalls import measured_stalls
from tests.http.stand_in import StandIn
from tests.serving import D, T

LONGEST_STALL = 0.02


def _hostile() -> dict[str, Any]:
    field_names = [f"visitor_idx{number}" for number in range(900)]
    condition = {"type": "selector", "dimension": "skope", "value": 1, "x": 1}
    fields = [{"type": "in", "dimension": "scope", "values": [f"{number}x"]} for number in range(20)]
    return {
        "unknown keys": {f"aggregation_{number}": number for number in range(600)},
        "unknown names": COUNT | {"group_by": field_names},
        "unknown fields": COUNT | {"aggregations": [{"type": "sum", "fields": field_names}]},
        "wrong filters": COUNT | {"filters": [condition] * 150},
        "wrong aggregations": {"interval": DAY, "aggregations": [{"type": "sun", "fields": ["sale"]}] * 200},
        "unknown columns": COUNT | {"order_by": [{"column": f"cownt_{number}"} for number in range(400)]},
        "many values": [0] * 85_000,
        "many keys": {f"a{number}": number for number in range(16_000)},
        "nested filters": COUNT | {"filters": {"type": "and", "fields": [{"type": "or", "fields": fields}] * 9}},
    }


@pytest.mark.parametrize("name", list(_hostile()))
async def test_describing_an_invalid_body_stalls_nobody(client: Client, name: str) -> None:
    assert (await client.post()).status == 200
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    body = json.dumps(_hostile()[name]).encode()
    async with measured_stalls() as stalls:
        answer = await client.send("POST", client.gateway.path(), headers=headers, data=body)
    assert answer.status == 400
    assert stalls.longest < LONGEST_STALL


async def test_an_organization_that_uses_too_much_cpu_time_is_429(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, cpu_seconds_per_minute=0.06)
    body = _hostile()["wrong filters"]
    async with asyncio.timeout(30):
        while (answer := await client.post(body)).status != 429:
            assert answer.status == 400
    assert_problem(answer, 429, "rate_limited")
    assert answer.headers["ratelimit-policy"] == '"cpu-seconds";q=1;w=60'
    assert answer.headers["ratelimit"] == f'"cpu-seconds";r=0;t={answer.headers["retry-after"]}'
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (await client.post(organization=T)).status == 200


async def test_ordinary_reports_stay_far_below_the_limit_of_cpu_time(client: Client) -> None:
    for _ in range(200):
        assert (await client.post()).status == 200


async def test_unused_cpu_time_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("gateway.web.cpu_budget.monotonic", lambda: now)
    budget = CpuBudget(60.0)
    budget.charge(D, 62.5)
    with pytest.raises(Exception, match="computing time") as refused:
        budget.check(D)
    assert refused.value.headers["Retry-After"] == "3"  # type: ignore[attr-defined]
    budget.check(T)
    now += 3
    budget.check(D)
    for number in range(20_000):
        budget.charge(str(number), 1.0)
    assert len(budget._balances) <= 10_000


async def test_the_cpu_time_of_a_coroutine_is_that_of_its_steps() -> None:
    class Spent:
        cpu_seconds = 0.0

    async def work() -> str:
        for _ in range(3):
            sum(range(200_000))
            await asyncio.sleep(0.05)
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except TimeoutError:
            return "done"
        raise AssertionError

    spent = Spent()
    assert await metered(work(), spent) == "done"
    assert 0.001 < spent.cpu_seconds < 0.1


async def test_a_cancelled_coroutine_is_cancelled_through_the_meter() -> None:
    class Spent:
        cpu_seconds = 0.0

    ended = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def metering() -> None:
        await metered(wait(), Spent())

    task = asyncio.create_task(metering())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_organizations_take_turns_in_the_worker() -> None:
    class Spent:
        cpu_seconds = 0.0

    order: list[str] = []
    async with Worker() as worker, asyncio.TaskGroup() as group:
        for organization in (D, D, D, D, T):
            group.create_task(worker.run(lambda name=organization: order.append(name), organization, Spent()))  # type: ignore[misc]
    assert order.index(T) <= 1
