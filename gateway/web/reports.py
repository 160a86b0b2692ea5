"""The pipeline of a report, from the request to the response. Each stage takes what the previous one returns."""

import asyncio
from collections.abc import Iterable
from time import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.query.advice import advice
from gateway.query.compile import compile_queries
from gateway.query.explain import explain
from gateway.query.freshness import freshness
from gateway.query.json_body import read_json
from gateway.query.parse import parse
from gateway.query.parsed_reports import ParsedReports
from gateway.query.plan import Plan, is_heavy, plan
from gateway.query.report import Report, Top
from gateway.query.respond import Result, respond
from gateway.query.schema import ReportSchema
from gateway.query.top import compile_top, with_groups
from gateway.telemetry.tracing import stage
from gateway.tenancy.tenant import Tenant
from gateway.web.audit import shape_of
from gateway.web.authentication import deadline_of, tenant_of
from gateway.web.cache_fields import cache_fields
from gateway.web.compression import compress
from gateway.web.conditional import etag_of, known_tag, mark_cacheable, not_modified
from gateway.web.context import CONTEXT
from gateway.web.encoders import encode, json_response
from gateway.web.execution import run_queries
from gateway.web.paging import Page, requested_page, version_of
from gateway.web.request_body import expected_size, receive
from gateway.web.response_format import (
    VARY,
    WantedResponse,
    is_link,
    linked_report,
    respond_with,
    wanted_response,
)

_LARGE_BODY: Final = 2_048
"""From this size on, describing the problems of a body may take too long for the event loop."""


def report_on(schema: ReportSchema) -> Handler:
    """Return the handler of POST and QUERY …/orgs/<organization_id>/<data set>, and of the link GET …/report?q=…."""
    parsed = ParsedReports(schema)

    async def report(request: web.Request) -> web.Response:
        context = request[CONTEXT]
        services = context.services
        deadline = deadline_of(request)
        tenant = await tenant_of(request, schema.dataset, deadline)
        wanted = wanted_response(request)
        async with services.limiter.report_slot(tenant.owner_organization_id):
            report, page = await _read_report(request, wanted, parsed, tenant, deadline)
            now = int(time() * 1000) if page is None else page.now
            with stage("plan"):
                planned = plan(report, tenant, schema, services.settings.uniques, now=now)
            if wanted.explanation:
                return json_response(explain(planned, schema.limits, now=now))
            if report.top is not None:
                planned = await _with_groups(request, planned, report.top, deadline)
            with stage("compile"):
                queries = compile_queries(planned)
            results = await run_queries(request, queries, deadline, heavy=is_heavy(planned))
            version = None if page is None else version_of(results.responses)
            if page is not None:
                page.check(version)
            with stage("respond"):
                found = {name: Result(query, results.responses[name].rows) for name, query in queries.items()}
                fresh = freshness(planned, now, _unpublished(request, planned)) if report.freshness else None
                answer = respond(planned, found, advice(planned, now), fresh)
        cache_status = cache_fields(request, results.responses.values())
        etag = etag_of(request, wanted, answer, queries, results.responses.values())
        if (tag := known_tag(request, etag)) is not None:
            context.log_fields |= shape_of(planned) | {"rows": 0}
            return not_modified(tag, {**VARY, **cache_status})
        with stage("encode"):
            encoded = await encode(answer, wanted.format)
        results.keep_only(len(encoded.body))
        services.instruments.of_requests(context.data_set).rows.inc(encoded.rows)
        # The request's log line is the audit line, too. Its context has the caller, the organization and the partner.
        context.log_fields |= shape_of(planned) | {"rows": encoded.rows}
        response = respond_with(encoded, wanted.format, planned)
        response.headers.update(cache_status)
        if page is not None:
            response.headers.update(page.links(version, encoded.rows))
        if await compress(request, response, tenant.owner_organization_id):
            results.keep_only(response.content_length or 0)
        mark_cacheable(response, etag)
        return response

    return report


async def _read_report(
    request: web.Request, wanted: WantedResponse, parsed: ParsedReports, tenant: Tenant, deadline: float
) -> tuple[Report, Page | None]:
    """Receive and parse the body; its memory is reserved from before the first byte until it is parsed.

    Return the report and, if it is requested in pages, the page.
    """
    context = request[CONTEXT]
    services = context.services
    limit = services.settings.max_body_bytes
    with services.body_budget.reserve(tenant.owner_organization_id, expected_size(request, limit)):
        until = asyncio.get_running_loop().time() + services.settings.body_timeout
        with stage("read"), context.timer.waiting():
            body = linked_report(request) if is_link(request) else await receive(request, limit, min(deadline, until))
        with stage("parse"):
            if len(body) < _LARGE_BODY:
                report = parsed.parse(body)
            else:
                report = await services.worker.run(
                    lambda: parse(read_json(body), parsed.schema), tenant.owner_organization_id, context
                )
        return report, requested_page(request, wanted, body, report, tenant)


def _unpublished(request: web.Request, planned: Plan) -> Iterable[tuple[int, int]]:
    return request[CONTEXT].services.druid.unpublished(planned.dataset.data_source)


async def _with_groups(request: web.Request, planned: Plan, top: Top, deadline: float) -> Plan:
    """Find the groups of `top` first."""
    with stage("compile"):
        query = compile_top(planned, top)
    results = await run_queries(request, {"top": query}, deadline, heavy=is_heavy(planned))
    return with_groups(planned, top, query, results.responses["top"].rows)
