"""Exporting spans to a collector with OTLP over HTTP.

This module imports OpenTelemetry's SDK, which takes seven megabytes and a sixth of a second; import it only if spans
are exported. The SDK reads all further OTEL_ variables itself
(https://opentelemetry.io/docs/languages/sdk-configuration/).
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer

FLUSH_SECONDS: Final = 3.0
"""The time limit for sending the last spans when the process ends."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def exporting() -> AsyncIterator[Tracer]:
    """Yield a tracer whose spans a background thread exports."""
    # The library logs every failed batch; _Exporter logs the first one.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    provider = TracerProvider(
        # A caller's traceparent names the trace. Its sampled flag is ignored unless the operator configures a sampler.
        sampler=None if OTEL_TRACES_SAMPLER in os.environ else ALWAYS_ON,
        resource=Resource.create({SERVICE_NAME: "druid-gateway", **OTELResourceDetector().detect().attributes}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(_Exporter(OTLPSpanExporter())))
    yield provider.get_tracer("gateway")
    loop, flushed = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # The loop has been closed already.
            loop.call_soon_threadsafe(flushed.set)

    # A daemon thread, unlike asyncio's: a collector that hangs must not delay the end of the process.
    Thread(target=shut_down, daemon=True).start()
    try:
        async with asyncio.timeout(FLUSH_SECONDS):
            await flushed.wait()
    except TimeoutError:
        _log.warning("traces_not_flushed", seconds=FLUSH_SECONDS)


class _Exporter(SpanExporter):
    """An exporter that logs when the collector stops accepting spans, and when it accepts them again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            _log.warning("traces_not_exported", spans=len(spans))
        elif self._failing and not failing:
            _log.info("traces_exported_again")
        self._failing = failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
