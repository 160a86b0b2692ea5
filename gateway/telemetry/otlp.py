"""Sending spans to a collector, by OTLP over HTTP.

Imported only where there is one, for it brings the SDK, which takes seven megabytes and a sixth of a second. That
reads all other OTEL_ variables by itself (https://opentelemetry.io/docs/languages/sdk-configuration/).
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from threading import Thread
from typing import Final

import structlog
from aiohttp import web
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from gateway.telemetry.tracing import TRACER

LAST_WORDS: Final = 3.0
"""Seconds that sending the last spans may take when the process ends."""

log = structlog.get_logger(__name__)


async def exported(app: web.Application) -> AsyncIterator[None]:
    """Have the application's spans sent, by a thread of their own, for as long as it runs."""
    # The library complains of each batch; _Exporter does it once.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    provider = TracerProvider(
        # A caller's traceparent says what the trace is called, not whether it is kept: without a word of whoever runs
        # the gateway, its flag counts for nothing.
        sampler=None if OTEL_TRACES_SAMPLER in os.environ else ALWAYS_ON,
        resource=Resource.create({SERVICE_NAME: "druid-gateway", **OTELResourceDetector().detect().attributes}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(_Exporter(OTLPSpanExporter())))
    app[TRACER] = provider.get_tracer("gateway")
    yield
    loop, sent = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(sent.set)

    # A daemon, unlike asyncio's threads: a collector that hangs must not hold up the end of the process.
    Thread(target=end, daemon=True).start()
    try:
        async with asyncio.timeout(LAST_WORDS):
            await sent.wait()
    except TimeoutError:
        log.warning("traces_not_flushed", seconds=LAST_WORDS)


class _Exporter(SpanExporter):
    """An exporter that says when the collector takes no spans, and when it does again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning("traces_not_exported", spans=len(spans))
        elif self._failing and not failing:
            log.info("traces_exported_again")
        self._failing = failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
