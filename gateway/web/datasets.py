"""The description of a data set: what can be requested, and for which time there is data."""

from time import monotonic
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.query.compile import compile_time_range
from gateway.query.describe import describe
from gateway.query.literals import Json
from gateway.query.native_rows import read_time_range
from gateway.query.schema import ReportSchema
from gateway.tenancy.tenant import Tenant
from gateway.web.authentication import deadline_of, tenant_of
from gateway.web.context import LIMITER
from gateway.web.encoders import json_response
from gateway.web.execution import run_queries

TIME_RANGE_SECONDS: Final = 30.0
"""How long a tenant's time range is remembered: its query scans the tenant's rows of all time."""
_MOST_TIME_RANGES: Final = 10_000


def description_of(schema: ReportSchema) -> Handler:
    """Return the handler of GET …/orgs/<organization_id>/<data set>."""
    described = describe(schema.dataset, schema.limits)
    remembered = _TimeRanges()

    async def description(request: web.Request) -> web.Response:
        deadline = deadline_of(request)
        tenant = await tenant_of(request, schema.dataset, deadline)
        found = remembered.get(tenant)
        if found is None:
            queries = {"range": compile_time_range(tenant, schema.dataset)}
            async with request.app[LIMITER].report_slot(tenant.owner_organization_id):
                results = await run_queries(request, queries, deadline, heavy=True)
            time_range = read_time_range(results.responses["range"].rows)
            found = {"time_range": None if time_range is None else {"first": time_range[0], "last": time_range[1]}}
            remembered.put(tenant, found)
        return json_response(described | found)

    return description


class _TimeRanges:
    """The time ranges of a data set's tenants, each for TIME_RANGE_SECONDS, the oldest first."""

    def __init__(self) -> None:
        self._ranges: dict[tuple[str, str | None], tuple[float, Json]] = {}

    def get(self, tenant: Tenant) -> Json | None:
        until, found = self._ranges.get(_key(tenant), (0.0, None))
        return found if monotonic() < until else None

    def put(self, tenant: Tenant, found: Json) -> None:
        self._ranges.pop(_key(tenant), None)
        self._ranges[_key(tenant)] = (monotonic() + TIME_RANGE_SECONDS, found)
        if len(self._ranges) > _MOST_TIME_RANGES:
            del self._ranges[next(iter(self._ranges))]


def _key(tenant: Tenant) -> tuple[str, str | None]:
    return tenant.owner_organization_id, tenant.involved_organization_id
