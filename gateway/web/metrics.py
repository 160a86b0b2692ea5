"""The endpoint for Prometheus."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.web.context import INSTRUMENTS


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: every instrument in Prometheus' text format."""
    text = generate_latest(request.app[INSTRUMENTS].registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})
