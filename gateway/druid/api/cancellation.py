"""Cancelling a query in Druid, which does not notice that its HTTP client has disconnected."""

import asyncio

import aiohttp
import structlog
from opentelemetry.semconv.attributes.http_attributes import HTTP_REQUEST_METHOD
from opentelemetry.trace import SpanKind
from prometheus_client import Histogram

from gateway.druid.api.broker import DRUID_QUERY_ID, Broker
from gateway.druid.api.connection import Exchange
from gateway.druid.api.http import describe
from gateway.telemetry.instruments import timed
from gateway.telemetry.tracing import stage

# Seconds until all of Druid's servers know a query: they forget a cancellation that arrives earlier.
_KNOWN_AFTER = 0.05
# Seconds from one cancellation of a query to the next.
_CANCEL_AGAIN = (0.05, 0.1, 0.2, 0.4, 0.8)

_log = structlog.get_logger(__name__)


async def cancel(
    broker: Broker,
    query_id: str,
    exchange: Exchange,
    sent_at: float,
    seconds: Histogram,
) -> None:
    """Cancel repeatedly until Druid responds to the query: it accepts a cancellation whether it knows the query or not.

    `exchange` is that of the query, sent at `sent_at` (the event loop's time). `seconds` measures each cancellation.
    """
    known_in = max(0.0, sent_at + _KNOWN_AFTER - asyncio.get_running_loop().time())
    try:
        await asyncio.wait({exchange.begun}, timeout=known_in)
        for pause in _CANCEL_AGAIN:
            await _cancel_once(broker, query_id, seconds)
            await asyncio.wait({exchange.begun}, timeout=pause)
            if exchange.begun.done():
                break
    finally:
        # Also if the gateway stops and does not wait any longer.
        if not exchange.begun.done():
            _log.warning("druid_query_not_cancelled", druid_query_id=query_id)
        exchange.close()


async def _cancel_once(broker: Broker, query_id: str, seconds: Histogram) -> None:
    attributes = {HTTP_REQUEST_METHOD: "DELETE", DRUID_QUERY_ID: query_id, **broker.address}
    with stage("cancel", SpanKind.CLIENT, attributes), timed(seconds, broker.name, success="accepted") as timer:
        try:
            status = await broker.cancel(query_id)
        except (aiohttp.ClientError, TimeoutError) as error:
            timer.outcome = "no_answer"
            _log.warning(
                "druid_cancellation_failed", druid_query_id=query_id, error=describe(error, tls=broker.is_secure)
            )
        else:
            if status != 202:
                timer.outcome = "refused"
            _log.info("druid_query_cancelled", druid_query_id=query_id, druid_status=status)
