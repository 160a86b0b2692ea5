"""The link that waits for a slot, and tells Druid the query's lane and priority."""

from gateway.druid.chain import AdmittedRequest, DruidResponse, LeasedRequest, Link
from gateway.druid.slots import Slots

_HEAVY_PRIORITY = -10


class Admit:
    """Runs a query once it has a slot of its lane."""

    def __init__(self, ordinary: Slots, heavy: Slots, next_link: Link[AdmittedRequest]) -> None:
        self._ordinary = ordinary
        self._heavy = heavy
        self._next = next_link

    async def run(self, request: LeasedRequest) -> DruidResponse:
        """Raises QueueFull, DeadlineExceeded, and what the next link raises."""
        slots = self._heavy if request.heavy else self._ordinary
        async with slots.acquire(request.query.tenant.owner_organization_id, request.deadline) as slot:
            # Druid's queues do not know organizations: one with fewer running queries overtakes there, too.
            priority = (_HEAVY_PRIORITY if request.heavy else 0) - slot.others
            lane = {"lane": "heavy"} if request.heavy else {}
            request = request.with_context(priority=priority, **lane)
            return await self._next.run(AdmittedRequest(*request, slot=slot))
