"""The values of a dimension, for pickers of filters."""

from time import time

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.query.compile import compile_report
from gateway.query.dimension_values import plan_values, read_values
from gateway.query.plan import is_heavy
from gateway.query.schema import ReportSchema
from gateway.web.audit import shape_of
from gateway.web.authentication import deadline_of, tenant_of
from gateway.web.context import CONTEXT
from gateway.web.encoders import json_response
from gateway.web.execution import run_queries


def values_of(schema: ReportSchema) -> Handler:
    """Return the handler of GET …/<data set>/dimensions/<dimension>/values."""

    async def values(request: web.Request) -> web.Response:
        deadline = deadline_of(request)
        tenant = await tenant_of(request, schema.dataset, deadline)
        name = request.match_info["dimension"]
        async with request[CONTEXT].services.limiter.report_slot(tenant.owner_organization_id):
            planned = plan_values(name, request.query, tenant, schema, now=int(time() * 1000))
            query = compile_report(planned)
            results = await run_queries(request, {"values": query}, deadline, heavy=is_heavy(planned))
            found = read_values(planned, query, results.responses["values"].rows)
        request[CONTEXT].log_fields |= shape_of(planned) | {"rows": len(found["values"])}
        return json_response(found)

    return values
