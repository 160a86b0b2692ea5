"""The settings of automatic compaction in the coordinator's API.

https://druid.apache.org/docs/33.0.0/api-reference/automatic-compaction-api
"""

from gateway.druid.api.http import Service, UnexpectedStatus, message_in, quoted
from gateway.druid.api.overlord import Rejected

_API = "druid/coordinator/v1/config/compaction"


class Compaction:
    """Raises ServiceError, also where a method's description does not say so."""

    def __init__(self, coordinator: Service) -> None:
        self._service = coordinator

    async def is_configured(self, data_source: str) -> bool:
        status, body = await self._service.fetch("GET", f"{_API}/{quoted(data_source)}")
        if status not in {200, 404}:
            raise UnexpectedStatus(self._service, status, body)
        return status == 200

    async def configure(self, settings: bytes) -> None:
        """Raises Rejected."""
        status, body = await self._service.fetch("POST", _API, data=settings)
        if status == 400:
            raise Rejected(f"Druid rejected the settings of compaction: {message_in(body)}")
        if status != 200:
            raise UnexpectedStatus(self._service, status, body)
