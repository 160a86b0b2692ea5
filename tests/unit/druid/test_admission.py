"""The link that waits for a slot: what it tells Druid about the query."""

import asyncio

import pytest

from gateway.druid.admission import Admit
from gateway.druid.chain import AdmittedRequest, DruidResponse
from gateway.errors import QueueFull
from tests.unit.druid.links import NextLink, leased, new_slots, query, requested, responded, responding


@pytest.mark.parametrize(("heavy", "lane", "priority"), [(False, None, 0), (True, "heavy", -10)])
async def test_the_lane_and_the_priority_are_in_the_context(heavy: bool, lane: str | None, priority: int) -> None:  # noqa: FBT001 - a case
    slots, next_link = new_slots(4, 4), responding(7)
    link = Admit(slots, slots, next_link)
    response = await link.run(leased(requested(query(context={"kept": 1}), heavy=heavy)))
    context = next_link.requests[0].query.native["context"]
    assert (context.get("lane"), context["priority"], context["kept"]) == (lane, priority, 1)
    assert response.rows == [7]
    assert slots.running == 0


async def test_the_more_queries_an_organization_runs_the_lower_is_the_priority() -> None:
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
    priorities = [request.query.native["context"]["priority"] for request in next_link.requests]
    assert priorities == [0, -1, -2]


async def test_a_query_without_a_slot_goes_no_further() -> None:
    next_link = responding()
    slots = new_slots(2, 0)
    async with slots.acquire(requested().query.tenant.owner_organization_id, requested().deadline):
        with pytest.raises(QueueFull):
            await Admit(slots, slots, next_link).run(leased(requested()))
    assert next_link.requests == []
