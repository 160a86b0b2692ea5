"""OpenTelemetry traces: a span for each request, and within it one for each stage.

On where OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set; elsewhere it costs nothing. Names are
those of https://opentelemetry.io/docs/specs/semconv/ where it has one. Nothing that a caller wrote goes into a span: no
path, query or body, no credential, no value of a filter; and no text of an error.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.url_attributes import URL_SCHEME
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, Tracer, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from structlog.typing import EventDict, WrappedLogger

from gateway.telemetry.durations import outcome_of

_PROBES: Final = frozenset({"/healthz", "/readyz"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_PARENTHOOD: Final = TraceContextTextMapPropagator()
_NO_SPAN: Final = nullcontext(INVALID_SPAN)

TRACER = web.AppKey("tracer", Tracer)
_tracer: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


def is_configured() -> bool:
    """Whether the environment names a collector, and does not say that nothing be sent there."""
    told = os.environ.get
    named = told("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or told("OTEL_EXPORTER_OTLP_ENDPOINT")
    disabled = told("OTEL_SDK_DISABLED", "").lower() == "true"
    return bool(named) and not disabled and told("OTEL_TRACES_EXPORTER", "otlp") == "otlp"


@web.middleware
async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put a request into a span, whose parent is the one that its `traceparent` names."""
    resource = request.match_info.route.resource
    route = None if resource is None else resource.canonical
    if route in _PROBES:
        return await handler(request)
    # Neither tracestate nor baggage: they are whatever a caller likes, and would go on to Druid.
    parent = _PARENTHOOD.extract({"traceparent": request.headers.get("traceparent", "")})
    method = request.method if request.method in _METHODS else "_OTHER"
    attributes: dict[str, AttributeValue] = {HTTP_REQUEST_METHOD: method, URL_SCHEME: request.scheme}
    if route is not None:
        attributes[HTTP_ROUTE] = route
    with request.app[TRACER].start_as_current_span(
        f"{method} {route}" if route else method,
        context=parent,
        kind=SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        # Of a trace that is not kept nobody needs the stages, which cost the most.
        _tracer.set(request.app[TRACER] if span.is_recording() else None)
        try:
            return await handler(request)
        except asyncio.CancelledError as error:
            span.set_attribute(ERROR_TYPE, outcome_of(error))
            raise


def stage(
    name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: Mapping[str, AttributeValue] | None = None
) -> AbstractContextManager[Span]:
    """Return a context manager that puts its body into a span of the request, where requests are traced."""
    tracer = _tracer.get()
    return _NO_SPAN if tracer is None else _span(tracer, name, kind, attributes)


@contextmanager
def _span(tracer: Tracer, name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue] | None) -> Iterator[Span]:
    with tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute(ERROR_TYPE, outcome_of(error))
            span.set_status(StatusCode.ERROR)
            raise


def tell(attributes: Mapping[str, AttributeValue]) -> None:
    """Add to what the present span says."""
    get_current_span().set_attributes(attributes)


def tell_answer(status: int, code: str | None) -> None:
    """Say in the present span how its request was answered."""
    span = get_current_span()
    span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
    if code is not None:
        span.set_attribute("gateway.code", code)
        if status >= 500:
            span.set_attribute(ERROR_TYPE, code)
            span.set_status(StatusCode.ERROR)


def parenthood() -> dict[str, str]:
    """Return what names the present span as the parent, `traceparent`; nothing where there is none."""
    carrier: dict[str, str] = {}
    _PARENTHOOD.inject(carrier)
    return carrier


def with_trace_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Name the trace in a log line. A processor for structlog."""
    context = get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format_trace_id(context.trace_id)
    return event
