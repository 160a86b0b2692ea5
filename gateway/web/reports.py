"""The pipeline of a report, from the request to the response. Each stage takes what the previous one returns."""

import asyncio
from collections.abc import Iterable, Mapping
from time import time
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.catalog.model import Dataset
from gateway.druid.api.broker import DRUID_QUERY_ID
from gateway.druid.memory_budget import MemoryLease
from gateway.query.advice import advice
from gateway.query.compile import compile_queries
from gateway.query.explain import explain
from gateway.query.freshness import freshness
from gateway.query.parsed_reports import LARGE, ParsedReports
from gateway.query.plan import Plan, is_heavy, plan
from gateway.query.report import Report, Top
from gateway.query.respond import Result, respond
from gateway.query.schema import ReportSchema
from gateway.query.top import compile_top, with_groups
from gateway.telemetry.tracing import stage, tell
from gateway.tenancy.tenant import Tenant
from gateway.web.audit import shape_of
from gateway.web.authentication import deadline_of, tenant_of
from gateway.web.cache_fields import cache_fields, fields_from_memory, wants_fresh
from gateway.web.compression import compress
from gateway.web.conditional import etag_of, known_tag, mark_cacheable, not_modified
from gateway.web.context import CONTEXT
from gateway.web.encoders import encode, json_response
from gateway.web.execution import DRUID_QUERY, run_queries
from gateway.web.paging import Page, requested_page, version_of
from gateway.web.request_body import expected_size, receive
from gateway.web.response_format import (
    PAGE,
    VARY,
    WantedResponse,
    headers_of,
    is_link,
    linked_report,
    wanted_response,
)
from gateway.web.stored_answers import AnswerKey, CompleteAnswer, is_lasting


def report_on(schema: ReportSchema) -> Handler:
    """Return the handler of POST and QUERY …/orgs/<organization_id>/<data set>, and of the link GET …/report?q=…."""
    parsed = ParsedReports(schema)

    async def report(request: web.Request) -> web.Response:
        deadline = deadline_of(request)
        tenant = await tenant_of(request, schema.dataset, deadline)
        made = await make(request, wanted_response(request), tenant, deadline)
        # Druid's rows are gone by now: compressing may have to wait for others.
        return made if isinstance(made, web.Response) else await _respond(request, tenant, made)

    async def make(
        request: web.Request, wanted: WantedResponse, tenant: Tenant, deadline: float
    ) -> "_Made | web.Response":
        context = request[CONTEXT]
        services = context.services
        async with services.limiter.report_slot(tenant.owner_organization_id):
            with services.body_budget.reserve(tenant.owner_organization_id, _expected_size(request)):
                body = await _receive(request, deadline)
                key = AnswerKey.of(request, schema.dataset.name, tenant, wanted.name, body)
                if (made := _stored(request, wanted, schema.dataset, key)) is not None:
                    return made
                report, page = await _parse(request, wanted, parsed, tenant, body)
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
        responses = results.responses.values()
        headers = cache_fields(request, responses)
        etag = etag_of(request, wanted, answer, queries, responses)
        shape = shape_of(planned)
        context.log_fields |= shape
        if (unmodified := _unmodified(request, etag, headers)) is not None:
            return unmodified
        with stage("encode"):
            encoded = await encode(answer, wanted.format, results.cover_encoded)
        lease = results.keep_only(len(encoded.body))
        complete = CompleteAnswer(
            body=encoded.body,
            rows=encoded.rows,
            headers=headers_of(encoded, wanted.format, planned),
            etag=etag,
            log_fields=shape | {DRUID_QUERY: context.log_fields[DRUID_QUERY]},
            sent_at=min(response.sent_at for response in responses),
            queries=len(responses),
        )
        if page is None and is_lasting(planned, now):
            # Druid's responses tell: those to a report that is requested again are stored, too.
            repeated = all(response.origin != "druid" for response in responses)
            services.answers.put(key, complete, repeated=repeated)
        links = {} if page is None else page.links(version, encoded.rows)
        return _Made(complete, {**headers, **links}, lease)

    return report


class _Made(NamedTuple):
    """A complete answer, the headers that only this response has, and the lease for the memory of its body."""

    answer: CompleteAnswer
    headers: Mapping[str, str]
    lease: MemoryLease


def _expected_size(request: web.Request) -> int:
    """Return the memory to reserve for the body, from before its first byte until it is parsed."""
    return expected_size(request, request[CONTEXT].services.settings.max_body_bytes)


async def _receive(request: web.Request, deadline: float) -> bytes:
    """Return the report as the caller sent it."""
    context = request[CONTEXT]
    settings = context.services.settings
    until = asyncio.get_running_loop().time() + settings.body_timeout
    with stage("read"), context.timer.waiting():
        if is_link(request):
            return linked_report(request)
        return await receive(request, settings.max_body_bytes, min(deadline, until))


async def _parse(
    request: web.Request, wanted: WantedResponse, parsed: ParsedReports, tenant: Tenant, body: bytes
) -> tuple[Report, Page | None]:
    """Return the report and, if it is requested in pages, the page."""
    context = request[CONTEXT]

    def parse_page() -> tuple[Report, Page | None]:
        report = parsed.parse(body)
        return report, requested_page(request, wanted, body, report, tenant)

    with stage("parse"):
        if len(body) < LARGE:
            return parse_page()
        return await context.services.worker.run(parse_page, tenant.owner_organization_id, context)


def _stored(
    request: web.Request, wanted: WantedResponse, dataset: Dataset, key: AnswerKey
) -> _Made | web.Response | None:
    """Return the stored answer to an identical request, if there is one and the caller does not want a new one."""
    context = request[CONTEXT]
    services = context.services
    if wanted.explanation or wants_fresh(request) or (is_link(request) and PAGE in request.query):
        return None
    answer = services.answers.get(key)
    if answer is None:
        return None
    services.druid.schemas.require(dataset)
    lease = services.answers.lease(key, answer)
    context.leases.append(lease)
    services.instruments.of_requests(context.data_set).druid_seconds.observe(0)
    # The request's log line is the audit line, too. Its context has the caller, the organization and the partner.
    context.log_fields |= answer.log_fields | {"druid_ms": 0.0, "rows_from": "memory"}
    tell({DRUID_QUERY_ID: answer.log_fields[DRUID_QUERY]})
    headers = fields_from_memory(answer.sent_at)
    return _unmodified(request, answer.etag, headers) or _Made(answer, headers, lease)


def _unmodified(request: web.Request, etag: str | None, headers: Mapping[str, str]) -> web.Response | None:
    """Return the response to a caller who has the answer with this ETag already; None to all others."""
    tag = known_tag(request, etag)
    if tag is None:
        return None
    request[CONTEXT].log_fields["rows"] = 0
    return not_modified(tag, {**VARY, **headers})


async def _respond(request: web.Request, tenant: Tenant, made: _Made) -> web.Response:
    """Return the response with the answer, compressed if the caller accepts that."""
    context, answer = request[CONTEXT], made.answer
    context.log_fields["rows"] = answer.rows
    context.services.instruments.of_requests(context.data_set).rows.inc(answer.rows)
    response = web.Response(body=answer.body, headers={**answer.headers, **made.headers})
    if await compress(request, response, tenant.owner_organization_id):
        made.lease.resize(response.content_length or 0)
    mark_cacheable(response, answer.etag)
    return response


def _unpublished(request: web.Request, planned: Plan) -> Iterable[tuple[int, int]]:
    return request[CONTEXT].services.druid.unpublished(planned.dataset.data_source)


async def _with_groups(request: web.Request, planned: Plan, top: Top, deadline: float) -> Plan:
    """Find the groups of `top` first."""
    with stage("compile"):
        query = compile_top(planned, top)
    results = await run_queries(request, {"top": query}, deadline, heavy=is_heavy(planned))
    return with_groups(planned, top, query, results.responses["top"].rows)
