"""The span of a request, the parent of the spans of its stages."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_REQUEST_METHOD, HTTP_ROUTE
from opentelemetry.semconv.attributes.url_attributes import URL_SCHEME
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.util.types import AttributeValue

from gateway.telemetry.instruments import outcome_of
from gateway.telemetry.tracing import parent_from, trace_stages

TRACER = web.AppKey("tracer", Tracer)

_PROBES: Final = frozenset({"/healthz", "/readyz"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})


async def exported(app: web.Application) -> AsyncIterator[None]:
    """Export the application's spans while it runs."""
    # Imported only where spans are exported: the SDK takes seven megabytes and a sixth of a second.
    from gateway.telemetry.otlp import exporting  # noqa: PLC0415

    async with exporting() as tracer:
        app[TRACER] = tracer
        yield


@web.middleware
async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put the request into a span. Its parent is the span that the request's `traceparent` header names."""
    resource = request.match_info.route.resource
    route = None if resource is None else resource.canonical
    if route in _PROBES:
        return await handler(request)
    method = request.method if request.method in _METHODS else "_OTHER"
    attributes: dict[str, AttributeValue] = {HTTP_REQUEST_METHOD: method, URL_SCHEME: request.scheme}
    if route is not None:
        attributes[HTTP_ROUTE] = route
    tracer = request.app[TRACER]
    with tracer.start_as_current_span(
        f"{method} {route}" if route else method,
        context=parent_from(request.headers.get("traceparent", "")),
        kind=SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        # The stages cost the most. They are left out of a trace that is not sampled.
        trace_stages(tracer if span.is_recording() else None)
        try:
            return await handler(request)
        except asyncio.CancelledError as error:
            span.set_attribute(ERROR_TYPE, outcome_of(error))
            raise
