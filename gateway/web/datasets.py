"""The description of a data set: what can be requested, and for which time there is data."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from cachetools import TTLCache

from gateway.query.compile import compile_time_range
from gateway.query.describe import describe
from gateway.query.literals import Json
from gateway.query.native_rows import read_time_range
from gateway.query.schema import ReportSchema
from gateway.tenancy.tenant import Tenant
from gateway.web.authentication import deadline_of, tenant_of
from gateway.web.context import CONTEXT
from gateway.web.encoders import json_response
from gateway.web.execution import run_queries

TIME_RANGE_SECONDS: Final = 30.0
"""How long a tenant's time range is remembered: its query scans the tenant's rows of all time."""
_MOST_TIME_RANGES: Final = 10_000

_Key = tuple[str, str | None]


def description_of(schema: ReportSchema) -> Handler:
    """Return the handler of GET …/orgs/<organization_id>/<data set>."""
    described = describe(schema.dataset, schema.limits)
    remembered: TTLCache[_Key, Json] = TTLCache(_MOST_TIME_RANGES, TIME_RANGE_SECONDS)

    async def description(request: web.Request) -> web.Response:
        deadline = deadline_of(request)
        tenant = await tenant_of(request, schema.dataset, deadline)
        found = remembered.get(_key(tenant))
        if found is None:
            queries = {"range": compile_time_range(tenant, schema.dataset)}
            async with request[CONTEXT].services.limiter.report_slot(tenant.owner_organization_id):
                results = await run_queries(request, queries, deadline, heavy=True)
            time_range = read_time_range(results.responses["range"].rows)
            found = {"time_range": None if time_range is None else {"first": time_range[0], "last": time_range[1]}}
            remembered[_key(tenant)] = found
        return json_response(described | found)

    return description


def _key(tenant: Tenant) -> _Key:
    return tenant.owner_organization_id, tenant.involved_organization_id
