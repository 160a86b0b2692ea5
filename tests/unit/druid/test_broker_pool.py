"""The link that chooses a broker."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.druid import broker_pool
from gateway.druid.api.broker import Broker, NoAnswer
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.broker_pool import Brokers, ChooseBroker
from gateway.errors import DeadlineExceeded, DruidUnavailable, InvalidDruidResponse
from tests.http.stand_in import StandIn, standing_in
from tests.unit.druid.links import INSTRUMENTS, admitted, failing, requested, responding


@pytest.fixture
async def healthy() -> AsyncIterator[StandIn]:
    async with standing_in() as stand_in:
        yield stand_in


def of(*urls: str) -> Brokers:
    return Brokers([Broker(ServiceUrl(url)) for url in urls], INSTRUMENTS.broker_up)


async def until_probed() -> None:
    await asyncio.sleep(0.1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_pool, "PROBE_FIRST", 0.02)
    monkeypatch.setattr(broker_pool, "PROBE_EVERY", 0.02)


async def test_brokers_take_turns(healthy: StandIn) -> None:
    async with of(healthy.url, "http://127.0.0.1:1") as brokers:
        next_link = responding()
        for _ in range(4):
            await ChooseBroker(brokers, next_link).run(admitted(requested()))
        first, second = brokers
        assert [request.broker for request in next_link.requests] == [first, second, first, second]


async def test_another_broker_is_tried_once_if_one_gives_no_response(healthy: StandIn) -> None:
    async with of(healthy.url, healthy.url, healthy.url) as brokers:
        next_link = failing(NoAnswer())
        assert (await ChooseBroker(brokers, next_link).run(admitted(requested()))).rows == [1]
        assert len({request.broker for request in next_link.requests}) == 2
        next_link = failing(NoAnswer(), NoAnswer())
        with pytest.raises(DruidUnavailable):
            await ChooseBroker(brokers, next_link).run(admitted(requested()))
        assert len(next_link.requests) == 2


async def test_an_error_is_a_response_and_no_other_broker_is_tried(healthy: StandIn) -> None:
    async with of(healthy.url, healthy.url) as brokers:
        next_link = failing(InvalidDruidResponse("no"))
        with pytest.raises(InvalidDruidResponse):
            await ChooseBroker(brokers, next_link).run(admitted(requested()))
        assert len(next_link.requests) == 1


async def test_one_dropped_connection_does_not_exclude_a_healthy_broker(healthy: StandIn) -> None:
    async with of(healthy.url) as brokers:
        with pytest.raises(DruidUnavailable):
            await ChooseBroker(brokers, failing(NoAnswer())).run(admitted(requested()))
        # Neither before its health check nor after it.
        for _ in range(3):
            assert (await ChooseBroker(brokers, responding(1)).run(admitted(requested()))).rows == [1]
            await until_probed()
        assert len(brokers.answering) == 1


async def test_a_broker_that_fails_its_health_check_is_excluded_until_it_passes(healthy: StandIn) -> None:
    healthy.healthy = False
    async with of(healthy.url) as brokers:
        with pytest.raises(DruidUnavailable):
            await ChooseBroker(brokers, failing(NoAnswer())).run(admitted(requested()))
        await until_probed()
        next_link = responding()
        with pytest.raises(DruidUnavailable):
            await ChooseBroker(brokers, next_link).run(admitted(requested()))
        assert next_link.requests == []
        healthy.healthy = True
        await until_probed()
        await ChooseBroker(brokers, next_link).run(admitted(requested()))


async def test_a_suspected_broker_is_used_only_if_there_is_no_other(
    healthy: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_pool, "PROBE_FIRST", 60)
    async with of(healthy.url, healthy.url) as brokers:
        first, second = brokers
        brokers.suspect(first)
        next_link = responding()
        for _ in range(3):
            await ChooseBroker(brokers, next_link).run(admitted(requested()))
        assert {request.broker for request in next_link.requests} == {second}
        brokers.suspect(second)
        await ChooseBroker(brokers, next_link).run(admitted(requested()))


async def test_a_deadline_leads_to_a_health_check_only(healthy: StandIn) -> None:
    async with of(healthy.url) as brokers:
        with pytest.raises(DeadlineExceeded):
            await ChooseBroker(brokers, failing(DeadlineExceeded("long"))).run(admitted(requested()))
        await until_probed()
        assert len(brokers.answering) == 1
