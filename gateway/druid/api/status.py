"""Whether a Druid service responds, accepts the credentials, and is of the expected kind.

https://druid.apache.org/docs/33.0.0/api-reference/service-status-api
"""

from typing import Final, Literal

import aiohttp
import orjson

from gateway.druid.api.http import Service, ServiceError, UnexpectedStatus
from gateway.druid.api.security import Security
from gateway.druid.api.urls import ServiceUrl

Kind = Literal["broker", "coordinator"]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, connect=5)
_OWN_PATH: Final[dict[Kind, str]] = {
    "broker": "druid/v2/datasources",
    "coordinator": "druid/coordinator/v1/metadata/datasources",
}
"""A small request that only this kind of service answers, and only if the credentials are valid."""


async def version(kind: Kind, url: ServiceUrl, security: Security) -> str:
    """Return the version of the service. Raises ServiceError, whose text says what to do."""
    async with Service([url], security, timeout=_TIMEOUT) as service:
        status, body = await service.fetch("GET", _OWN_PATH[kind])
        if status == 404:
            raise ServiceError(f"{url} is not a {kind}: correct GATEWAY_DRUID_{kind.upper()}_URL.")
        if status != 200:
            raise UnexpectedStatus(service, status, body)
        status, body = await service.fetch("GET", "status")
        if status != 200:
            raise UnexpectedStatus(service, status, body)
    try:
        return str(orjson.loads(body)["version"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise ServiceError(f"{url} does not respond like Druid: correct GATEWAY_DRUID_{kind.upper()}_URL.") from None
