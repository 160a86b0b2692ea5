"""Identical requests in flight share one query."""

import asyncio

import pytest

from gateway.druid.chain import DruidResponse, LeasedRequest
from gateway.druid.single_flight import Coalesce
from gateway.errors import DeadlineExceeded
from tests.unit.druid.links import (
    INSTRUMENTS,
    OTHER_TENANT,
    NextLink,
    budget,
    keyed,
    query,
    requested,
    responded,
)


class Runs:
    """The next link: counts how often it was started, and responds when told to."""

    def __init__(self) -> None:
        self.memory = budget()
        self.next: NextLink[LeasedRequest] = NextLink(self._respond)
        self.link = Coalesce(self.memory, INSTRUMENTS.druid_shared, self.next)
        self.cancelled = 0
        self.end = asyncio.Event()

    @property
    def started(self) -> int:
        return len(self.next.requests)

    async def _respond(self, request: LeasedRequest) -> DruidResponse:
        number = self.started
        request.lease.resize(10)
        try:
            async with asyncio.timeout_at(request.deadline):
                await self.end.wait()
        except TimeoutError as error:
            raise DeadlineExceeded("too long") from error
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return responded([number], request.lease)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_identical_requests_share_one_query_and_its_memory() -> None:
    runs = Runs()
    callers = [asyncio.create_task(runs.link.run(keyed(requested()))) for _ in range(5)]
    await settle()
    runs.end.set()
    responses = await asyncio.gather(*callers)
    assert [response.rows for response in responses] == [[1]] * 5
    assert runs.memory.used == 10
    for response in responses[1:]:
        response.lease.release()
    assert runs.memory.used == 10
    responses[0].lease.release()
    assert runs.memory.used == 0


@pytest.mark.parametrize("other", [query(intervals="2019-01-01/2020-01-01"), query(OTHER_TENANT)])
async def test_other_queries_and_other_tenants_are_not_joined(other: object) -> None:
    runs = Runs()
    assert other != query()
    callers = [asyncio.create_task(runs.link.run(keyed(requested(each)))) for each in (query(), other)]  # type: ignore[arg-type]
    await settle()
    runs.end.set()
    assert [response.rows for response in await asyncio.gather(*callers)] == [[1], [2]]


async def test_the_same_native_query_of_another_tenant_is_not_joined() -> None:
    runs = Runs()
    forged = query(OTHER_TENANT, **query().native)
    callers = [asyncio.create_task(runs.link.run(keyed(requested(each)))) for each in (query(), forged)]
    await settle()
    runs.end.set()
    assert [response.rows for response in await asyncio.gather(*callers)] == [[1], [2]]


async def test_a_response_is_not_given_to_later_requests() -> None:
    runs = Runs()
    runs.end.set()
    assert [(await runs.link.run(keyed(requested()))).rows for _ in range(2)] == [[1], [2]]


async def test_a_query_is_cancelled_when_its_last_request_is() -> None:
    runs = Runs()
    first, second = (asyncio.create_task(runs.link.run(keyed(requested()))) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    assert runs.cancelled == 0
    second.cancel()
    await settle()
    assert (runs.started, runs.cancelled, runs.memory.used) == (1, 1, 0)


async def test_a_query_that_is_being_cancelled_is_not_joined() -> None:
    runs = Runs()
    first = asyncio.create_task(runs.link.run(keyed(requested())))
    await settle()
    first.cancel()
    await asyncio.sleep(0)
    runs.end.set()
    assert (await runs.link.run(keyed(requested()))).rows == [2]


async def test_every_request_gets_the_failure_of_its_query() -> None:
    async def fail(_: LeasedRequest) -> DruidResponse:
        await asyncio.sleep(0)
        raise LookupError

    link = Coalesce(budget(), INSTRUMENTS.druid_shared, NextLink(fail))
    callers = [asyncio.create_task(link.run(keyed(requested()))) for _ in range(3)]
    for caller in callers:
        with pytest.raises(LookupError):
            await caller


async def test_a_query_with_a_much_earlier_deadline_is_not_joined() -> None:
    runs = Runs()
    hasty = asyncio.create_task(runs.link.run(keyed(requested(seconds=1))))
    await settle()
    patient = asyncio.create_task(runs.link.run(keyed(requested(seconds=60))))
    await settle()
    assert runs.started == 2
    runs.end.set()
    await asyncio.gather(hasty, patient)


async def test_a_request_that_joined_a_query_with_an_earlier_deadline_keeps_its_own() -> None:
    runs = Runs()
    first = asyncio.create_task(runs.link.run(keyed(requested(seconds=0.28))))
    await settle()
    later = asyncio.create_task(runs.link.run(keyed(requested(seconds=0.3))))
    with pytest.raises(DeadlineExceeded):
        await first
    runs.end.set()
    assert (await later).rows == [2]


async def test_a_request_ends_at_its_own_deadline() -> None:
    runs = Runs()
    with pytest.raises(DeadlineExceeded):
        await runs.link.run(keyed(requested(seconds=0.02)))
    await settle()
    assert runs.memory.used == 0


async def test_closing_awaits_the_queries_in_flight() -> None:
    runs = Runs()
    async with runs.link:
        caller = asyncio.create_task(runs.link.run(keyed(requested())))
        await settle()
        asyncio.get_running_loop().call_later(0.05, runs.end.set)
    assert runs.link.in_flight == 0
    assert (await caller).rows == [1]


async def test_a_fresh_request_starts_a_query_of_its_own() -> None:
    runs = Runs()
    callers = [asyncio.create_task(runs.link.run(keyed(requested(fresh=each)))) for each in (False, True, False)]
    await settle()
    runs.end.set()
    responses = await asyncio.gather(*callers)
    assert [response.rows for response in responses] == [[1], [2], [2]]
    assert [response.origin for response in responses] == ["druid", "druid", "shared"]
