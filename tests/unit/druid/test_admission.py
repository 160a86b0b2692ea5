"""The link that waits for a slot."""

import asyncio

import pytest

from gateway.druid.admission import Admit
from gateway.druid.chain import AdmittedRequest, DruidResponse
from gateway.errors import QueueFull
from tests.unit.druid.links import NextLink, leased, new_slots, requested, responded, responding


async def test_a_query_has_a_slot_until_it_has_ended() -> None:
    slots, next_link = new_slots(4, 4), responding(7)
    response = await Admit(slots, slots, next_link).run(leased(requested()))
    assert response.rows == [7]
    assert len(next_link.requests) == 1
    assert slots.running == 0


async def test_a_slot_knows_how_many_other_queries_the_organization_runs() -> None:
    end = asyncio.Event()

    async def respond(request: AdmittedRequest) -> DruidResponse:
        await end.wait()
        return responded([], request.lease)

    next_link = NextLink(respond)
    link = Admit(new_slots(8, 4), new_slots(2, 4), next_link)
    callers = [asyncio.create_task(link.run(leased(requested()))) for _ in range(3)]
    await asyncio.sleep(0.01)
    end.set()
    await asyncio.gather(*callers)
    assert [request.slot.others for request in next_link.requests] == [0, 1, 2]


async def test_a_query_without_a_slot_goes_no_further() -> None:
    next_link = responding()
    slots = new_slots(2, 0)
    async with slots.acquire(requested().query.tenant.owner_organization_id, requested().deadline):
        with pytest.raises(QueueFull):
            await Admit(slots, slots, next_link).run(leased(requested()))
    assert next_link.requests == []
