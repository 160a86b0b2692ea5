"""The link that waits for a slot."""

from gateway.druid.chain import AdmittedRequest, DruidResponse, LeasedRequest, Link
from gateway.druid.slots import Slots


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
            return await self._next.run(AdmittedRequest(*request, slot=slot))
