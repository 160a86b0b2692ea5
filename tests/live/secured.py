"""A reverse proxy in front of Druid that requires TLS, a client certificate and HTTP basic authentication."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from tests.certificates import CertificateAuthority, Identity
from tests.conftest import Druid
from tests.serving import listening

USER, MARKER = "operator", "marker-password-4711"
BASIC = aiohttp.encode_basic_auth(USER, MARKER)
_FORWARDED = ("Content-Type", "X-Druid-Response-Context")


@dataclass(slots=True)
class SecuredDruid:
    """Druid's services are below path prefixes of `url`. `paths` has the method and path of each accepted request."""

    ca: CertificateAuthority
    client: Identity
    url: str = ""
    paths: list[str] = field(default_factory=list)

    @property
    def broker(self) -> str:
        return f"{self.url}/druid-cluster/broker"

    @property
    def coordinator(self) -> str:
        return f"{self.url}/druid-cluster/coordinator"


@asynccontextmanager
async def securing(
    druid: Druid, folder: Path, *, server_expires_in: timedelta = timedelta(days=1)
) -> AsyncIterator[SecuredDruid]:
    ca = CertificateAuthority(folder)
    secured = SecuredDruid(ca, ca.issue("client"))
    services = {"broker": druid.broker_url, "coordinator": druid.coordinator_url}

    async def forward(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != BASIC:
            headers = {"WWW-Authenticate": 'Basic realm="druid"'}
            return web.Response(status=401, text="<html>401</html>", content_type="text/html", headers=headers)
        prefix = f"/druid-cluster/{request.match_info['service']}"
        path = request.raw_path.removeprefix(prefix)
        secured.paths.append(f"{request.method} {path}")
        url = URL(services[request.match_info["service"]] + path, encoded=True)
        headers = {"Content-Type": "application/json"}
        async with session.request(request.method, url, data=await request.read(), headers=headers) as response:
            kept = {name: response.headers[name] for name in _FORWARDED if name in response.headers}
            return web.Response(status=response.status, body=await response.read(), headers=kept)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/druid-cluster/{service:broker|coordinator}/{path:.*}", forward)
    async with (
        aiohttp.ClientSession(max_field_size=1 << 16) as session,
        listening(app, ssl_context=ca.server_context(expires_in=server_expires_in)) as secured.url,
    ):
        yield secured
