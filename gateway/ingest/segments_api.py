"""Segments and compaction in the APIs of coordinator and broker."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from gateway.druid.api.http import Service, message_in, quoted
from gateway.druid.api.overlord import Rejected


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    time_range: str
    version: str
    partition: int
    size: int = field(default=0, compare=False)
    is_tombstone: bool = field(default=False, compare=False)

    @classmethod
    def from_metadata(cls, json: Any) -> Self:  # noqa: ANN401
        shard = json.get("shardSpec") or {}
        tombstone = shard.get("type") == "tombstone"
        size = 0 if tombstone else json.get("size", 0)
        return cls(json["interval"], json["version"], shard.get("partitionNum", 0), size, tombstone)

    @classmethod
    def from_candidate(cls, json: Any) -> Self:  # noqa: ANN401
        return cls(json["interval"], json["version"], json["partitionNumber"], json.get("size", 0))


class Coordinator:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def stored_segments(self, data_source: str, intervals: Sequence[str]) -> list[Segment]:
        """From the metadata store itself: the coordinator's own copy is up to a minute old."""
        path = f"druid/coordinator/v1/metadata/datasources/{quoted(data_source)}/segments"
        status, body = await self._service.fetch(
            "POST", path, params={"full": ""}, data=orjson.dumps(list(intervals)), expected=(200, 204, 404)
        )
        return [Segment.from_metadata(each) for each in orjson.loads(body)] if status == 200 else []

    async def has_compaction(self, data_source: str) -> bool:
        path = f"druid/coordinator/v1/config/compaction/{quoted(data_source)}"
        status, _ = await self._service.fetch("GET", path, expected=(200, 404))
        return status == 200

    async def set_compaction(self, compaction: bytes) -> None:
        path = "druid/coordinator/v1/config/compaction"
        status, body = await self._service.fetch("POST", path, data=compaction, expected=(200, 400))
        if status == 400:
            raise Rejected(f"Druid rejected the settings of compaction: {message_in(body)}")


class BrokerSegments:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def queried_segments(self, data_source: str, intervals: Sequence[str]) -> list[Segment]:
        """Return the segments that a query of these intervals would read now."""
        path = f"druid/v2/datasources/{quoted(data_source)}/candidates"
        _, body = await self._service.fetch("GET", path, params={"intervals": ",".join(intervals)})
        return [Segment.from_candidate(each) for each in orjson.loads(body) if each["locations"]]
