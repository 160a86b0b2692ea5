"""The segments that the broker's queries read, in the broker's API.

https://druid.apache.org/docs/33.0.0/api-reference/legacy-metadata-api
"""

from collections.abc import Iterable

import orjson

from gateway.druid.api.http import Service, ServiceError, UnexpectedStatus, quoted
from gateway.druid.intervals import TimeRange
from gateway.druid.segments import Segment, ServedSegment


class Candidates:
    def __init__(self, broker: Service) -> None:
        self._service = broker

    async def queried_segments(self, data_source: str, ranges: Iterable[TimeRange]) -> list[Segment]:
        """Return the segments of these times that a query would read now. Raises ServiceError."""
        path = f"druid/v2/datasources/{quoted(data_source)}/candidates"
        status, body = await self._service.fetch("GET", path, params={"intervals": ",".join(map(str, ranges))})
        if status != 200:
            raise UnexpectedStatus(self._service, status, body)
        try:
            known = [ServedSegment.from_candidate(each) for each in orjson.loads(body)]
        except (KeyError, TypeError, ValueError) as error:
            raise ServiceError("The broker did not send a list of segments.") from error
        return [each.segment for each in known if each.servers]
