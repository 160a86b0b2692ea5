"""OpenTelemetry traces: a span for each request, and within it one for each stage.

Tracing is on if OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set; otherwise it costs nothing.
Names follow https://opentelemetry.io/docs/specs/semconv/. A span never contains text that a caller wrote (path, query,
body, credential, filter value), and never the message of an error.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Final

from opentelemetry.context import Context
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, Tracer, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from structlog.typing import EventDict, WrappedLogger

from gateway.telemetry.instruments import outcome_of

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_NO_SPAN: Final = nullcontext(INVALID_SPAN)
_tracer: ContextVar[Tracer | None] = ContextVar("tracer", default=None)
# Whether the current task has a span. OpenTelemetry's own look-up costs ten times as much, several times per request.
_has_span: ContextVar[bool] = ContextVar("has_span", default=False)


def is_configured() -> bool:
    """Whether the environment names a collector and does not disable tracing."""
    variable = os.environ.get
    endpoint = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or variable("OTEL_EXPORTER_OTLP_ENDPOINT")
    disabled = variable("OTEL_SDK_DISABLED", "").lower() == "true"
    return bool(endpoint) and not disabled and variable("OTEL_TRACES_EXPORTER", "otlp") == "otlp"


def trace_stages(tracer: Tracer | None) -> None:
    """Let `stage` create spans with this tracer in the current task, which has a span, or none."""
    _tracer.set(tracer)
    _has_span.set(True)


def stage(
    name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: Mapping[str, AttributeValue] | None = None
) -> AbstractContextManager[Span]:
    """Return a context manager that puts its body into a span of the request, if the request is traced."""
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
    """Add attributes to the current span."""
    if _has_span.get():
        get_current_span().set_attributes(attributes)


def record_response(status: int, code: str | None) -> None:
    """Add a request's response to the current span."""
    if not _has_span.get():
        return
    span = get_current_span()
    span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
    if code is not None:
        span.set_attribute("gateway.code", code)
        if status >= 500:
            span.set_attribute(ERROR_TYPE, code)
            span.set_status(StatusCode.ERROR)


def parent_from(traceparent: str) -> Context:
    """Return the context of the span that a `traceparent` header names.

    The headers tracestate and baggage are ignored: they contain arbitrary text of the caller's, and would go to Druid.
    """
    return _PROPAGATOR.extract({"traceparent": traceparent})


def parenthood() -> dict[str, str]:
    """Return the `traceparent` header that names the current span as the parent; empty if there is no span."""
    carrier: dict[str, str] = {}
    if _has_span.get():
        _PROPAGATOR.inject(carrier)
    return carrier


def with_trace_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the trace's id to a log event. A processor for structlog."""
    if _has_span.get():
        event["trace_id"] = format_trace_id(get_current_span().get_span_context().trace_id)
    return event
