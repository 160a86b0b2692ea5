"""A stand-in for an OpenTelemetry collector."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.serving import listening


@dataclass(slots=True)
class Collector:
    """What came: whole requests, and their spans."""

    url: str = ""
    raw: list[bytes] = field(default_factory=list)
    hangs: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(each) for each in self.raw]

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    async def trace(self, requests: int = 1, *names: str) -> dict[str, Span]:
        """Return spans by name, once those of so many requests came, and one of each name.

        The span of a request ends after those of its stages, and spans come in the order of their ends.
        """

        def complete() -> bool:
            spans = self.spans
            ended = sum(span.kind == Span.SPAN_KIND_SERVER for span in spans)
            return ended >= requests and {span.name for span in spans}.issuperset(names)

        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(complete)
        return {span.name: span for span in self.spans}

    async def _post(self, request: web.Request) -> web.Response:
        if self.hangs:
            await asyncio.Event().wait()
        assert request.content_type == "application/x-protobuf"
        raw = await request.read()
        async with self._changed:
            self.raw.append(raw)
            self._changed.notify_all()
        return web.Response(content_type="application/x-protobuf")


def attributes(span: Span) -> dict[str, Any]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector._post)
    async with listening(app) as collector.url:
        yield collector
