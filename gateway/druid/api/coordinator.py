"""Druid's coordinator: which segments the metadata store has, which data sources, and which lookups.

https://druid.apache.org/docs/33.0.0/api-reference/legacy-metadata-api describes the endpoints. None of them returns
changes only: each request lists all segments of a data source, about a kilobyte each.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
import structlog

from gateway.druid.api.http import Service, ServiceError, UnexpectedStatus, quoted
from gateway.druid.api.security import OPEN, Security
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.intervals import TimeRange
from gateway.druid.row_parser import parse_rows, parse_stream
from gateway.druid.segments import Description, Segment
from gateway.druid.slices import sliced

_METADATA = "druid/coordinator/v1/metadata"
_LOOKUPS = "druid/coordinator/v1/lookups"
_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)
_CHUNK = 1 << 16

_log = structlog.get_logger(__name__)


class InvalidMetadata(ServiceError):
    """The coordinator responded, but not with a list of segments."""


class Coordinator:
    """A client of the coordinator. An async context manager: it holds connections.

    Every method raises ServiceError and nothing else.
    """

    def __init__(self, urls: Sequence[ServiceUrl], security: Security = OPEN) -> None:
        self._service = Service(urls, security, timeout=_TIMEOUT)

    async def __aenter__(self) -> Self:
        await self._service.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._service.__aexit__(kind, error, trace)

    async def used_segments(self, data_source: str) -> AsyncIterator[list[Description]]:
        """Yield descriptions of all the segments that are in use, a slice at a time; other tasks run in between."""
        params = {"datasources": data_source, "includeOvershadowedStatus": "true"}
        async with self._service.stream("GET", f"{_METADATA}/segments", params=params) as response:
            if response.status != 200:
                raise UnexpectedStatus(self._service, response.status, await response.read())
            try:
                async for slice_ in parse_stream(response.content.iter_chunked(_CHUNK)):
                    yield slice_
            except ValueError as error:
                raise InvalidMetadata("The coordinator did not send a complete list of segments.") from error

    async def stored_segments(self, data_source: str, ranges: Iterable[TimeRange]) -> list[Segment]:
        """Return the segments of these times from the metadata store itself, not from the coordinator's copy of it."""
        body = await self._fetch(
            "POST",
            quoted("datasources", data_source, "segments"),
            params={"full": ""},
            data=orjson.dumps([str(each) for each in ranges]),
        )
        return await _parsed(data_source, body, Segment.from_metadata)

    async def unused_segments(self, data_source: str, time_range: TimeRange) -> list[Segment]:
        """Return the segments of this time that were published and then dropped, by retention rules for example."""
        path = quoted("datasources", data_source, "unusedSegments")
        body = await self._fetch("GET", path, params={"interval": "_".join(time_range.iso())})
        return await _parsed(data_source, body, lambda each: Segment.from_metadata(each["dataSegment"]))

    async def data_sources(self) -> frozenset[str]:
        """Return the names of all data sources that have, or had, a segment."""
        names = _json(await self._fetch("GET", "datasources", params={"includeUnused": ""}))
        if not isinstance(names, list):
            raise InvalidMetadata("The coordinator did not send a list of data sources.")
        return frozenset(map(str, names))

    async def lookups(self) -> Mapping[str, bool]:
        """Return the names of all lookups, each with whether every server has loaded its newest version."""
        status, body = await self._service.fetch("GET", f"{_LOOKUPS}/status")
        if status == 404:
            # No lookup was ever configured.
            return {}
        if status != 200:
            raise UnexpectedStatus(self._service, status, body)
        try:
            tiers = _json(body).values()
            return {name: bool(state["loaded"]) for tier in tiers for name, state in tier.items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise InvalidMetadata("The coordinator did not send a list of lookups.") from error

    async def _fetch(self, method: str, path: str, *, params: Mapping[str, str], data: bytes | None = None) -> bytes:
        status, body = await self._service.fetch(method, f"{_METADATA}/{path}", params=params, data=data)
        if status != 200:
            raise UnexpectedStatus(self._service, status, body)
        return body


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidMetadata("The coordinator did not send JSON.") from error


async def _parsed(data_source: str, body: bytes, read: Callable[[Any], Segment]) -> list[Segment]:
    try:
        descriptions = await parse_rows(body)
    except ValueError as error:
        raise InvalidMetadata("The coordinator did not send a list of segments.") from error
    segments = await readable(data_source, descriptions, read)
    if descriptions and not segments:
        raise InvalidMetadata("The coordinator describes segments in another form than expected.")
    return segments


async def readable(data_source: str, descriptions: Sequence[Any], read: Callable[[Any], Segment]) -> list[Segment]:
    """Return the segments that can be read; log the number of the others, which must not affect these."""
    segments: list[Segment] = []
    unreadable = 0
    async for part in sliced(descriptions):
        for each in part:
            try:
                segments.append(read(each))
            except (AttributeError, KeyError, TypeError, ValueError):
                unreadable += 1
    if unreadable:
        _log.error("segments_not_readable", data_source=data_source, segments=unreadable)
    return segments
