"""The pipeline: what happens to a report from the request to the answer, from top to bottom."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, time

import orjson
import structlog
from aiohttp import web
from structlog.contextvars import bind_contextvars

from gateway.accounts.store import Accounts
from gateway.auth.authenticator import Authenticator
from gateway.catalog.model import Dataset
from gateway.druid.api.broker import DRUID_QUERY_ID, Reply
from gateway.druid.executor import Druid
from gateway.druid.memory_budget import Room
from gateway.errors import BodyTimeout, DeadlineExceeded, InvalidReport, Unauthenticated
from gateway.query.compile import compile_report, compile_time_range, compile_totals
from gateway.query.describe import describe
from gateway.query.explain import explain
from gateway.query.json_body import read_json
from gateway.query.literals import Json
from gateway.query.native_rows import ReportWarning, read_time_range
from gateway.query.parse import parse
from gateway.query.plan import Plan, is_heavy, plan
from gateway.query.report import Report
from gateway.query.respond import Answer, respond
from gateway.query.schema import ReportSchema
from gateway.settings import Settings
from gateway.telemetry.tracing import stage, tell
from gateway.tenancy.principal import Principal
from gateway.tenancy.tenant import Tenant, authorize
from gateway.web.audit import shape_of
from gateway.web.client_address import address_of
from gateway.web.middleware import DATA_SET, ELSEWHERE, METRICS, QUOTA, REQUEST_ID, UNTIL_SENT
from gateway.web.rate_limit import Limiter

ACCOUNTS = web.AppKey("accounts", Accounts)
AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
DRUID = web.AppKey("druid", Druid)
LIMITER = web.AppKey("limiter", Limiter)
SETTINGS = web.AppKey("settings", Settings)

log = structlog.get_logger(__name__)

_LARGE_BODY = 16_384


def report_on(schema: ReportSchema) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of POST …/orgs/<organization_id>/<data set>."""

    async def report(request: web.Request) -> web.Response:
        app, settings = request.app, request.app[SETTINGS]
        deadline = _deadline(request)
        tenant = await _tenant(request, schema.dataset, deadline)
        raw = await _read(request, deadline)
        async with app[LIMITER].running(tenant.owner_organization_id):
            asked = await _parse(raw, schema)
            with stage("plan"):
                planned = plan(asked, tenant, schema.dataset, settings.limits, settings.uniques)
            if _wants_explanation(request):
                return _json(explain(planned, settings.limits, now=int(time() * 1000)))
            room = request[UNTIL_SENT].enter_context(app[DRUID].memory.room(tenant.owner_organization_id))
            answer = await _ask(planned, request, deadline, room)
        with stage("encode"):
            body, rows = await _encode(answer)
        room.resize(len(body))
        app[METRICS].rows[(schema.dataset.name,)] += rows
        # The audit line: the context says who asked, for which organization, as whose partner, and how many rows.
        bind_contextvars(rows=rows)
        log.info("report_answered", **shape_of(planned))
        return web.Response(body=body, content_type="application/json")

    return report


def description_of(schema: ReportSchema) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of GET …/orgs/<organization_id>/<data set>: what can be asked, and of which time."""
    described = describe(schema.dataset, schema.limits)

    async def description(request: web.Request) -> web.Response:
        deadline = _deadline(request)
        tenant = await _tenant(request, schema.dataset, deadline)
        query = compile_time_range(tenant, schema.dataset)
        async with request.app[LIMITER].running(tenant.owner_organization_id):
            with stage("ask"), _elsewhere(request) as replies:
                reply = await request.app[DRUID].run(query, f"{request[REQUEST_ID]}-range", deadline)
                replies.append(reply)
        found = read_time_range(reply.rows)
        time_range = None if found is None else {"first": found[0], "last": found[1]}
        return _json({**described, "time_range": time_range})

    return description


def _deadline(request: web.Request) -> float:
    """Return the event loop's time by which to answer: the setting's, or sooner where Prefer: wait asks for it."""
    seconds = request.app[SETTINGS].request_timeout
    for preference in ",".join(request.headers.getall("Prefer", ())).split(","):
        name, value = (part.strip() for part in preference.partition("=")[::2])
        # https://www.rfc-editor.org/rfc/rfc7240#section-4.3: whole seconds; what is not understood is ignored.
        if name.lower() == "wait" and value.isdecimal() and len(value) < 10:
            seconds = min(seconds, max(1, int(value)))
    return asyncio.get_running_loop().time() + seconds


async def _principal(request: web.Request) -> Principal:
    limiter, forwarded = request.app[LIMITER], request.headers.getall("X-Forwarded-For", ())
    address = address_of(request.remote, forwarded, request.app[SETTINGS].trusted_proxies)
    await limiter.admit(address)
    try:
        return await request.app[AUTHENTICATOR].authenticate(request.headers.getall("Authorization", ()))
    except Unauthenticated as error:
        log.info("authentication_failed", address=address, reason=error.detail)
        await limiter.note_failure(address)
        raise


async def _tenant(request: web.Request, dataset: Dataset, deadline: float) -> Tenant:
    request[DATA_SET] = dataset.name
    try:
        async with asyncio.timeout_at(deadline):
            return await _admitted(request, dataset)
    except TimeoutError as error:
        raise DeadlineExceeded("It took too long to find out who asks. Ask again.") from error


async def _admitted(request: web.Request, dataset: Dataset) -> Tenant:
    with stage("authenticate"):
        principal = await _principal(request)
    bind_contextvars(credential=principal.credential, user=principal.user_id, data_set=dataset.name)
    request[QUOTA] = await request.app[LIMITER].spend(principal.organization_id)
    with stage("authorize"):
        tenant = await authorize(principal, request.match_info["organization_id"], request.app[ACCOUNTS])
    tell({"gateway.data_set": dataset.name, "gateway.organization_id": tenant.owner_organization_id})
    bind_contextvars(organization=tenant.owner_organization_id, partner=tenant.involved_organization_id)
    return tenant


def _wants_explanation(request: web.Request) -> bool:
    wanted = request.query.get("explain", "false")
    if wanted not in ("true", "false") or request.query.keys() - {"explain"}:
        raise InvalidReport("The only query parameter is explain: true or false.")
    return wanted == "true"


def _json(body: Json) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


async def _read(request: web.Request, deadline: float) -> bytes:
    began = perf_counter()
    latest = asyncio.get_running_loop().time() + request.app[SETTINGS].body_timeout
    try:
        with stage("read"):
            async with asyncio.timeout_at(min(deadline, latest)):
                return await request.read()
    except TimeoutError as error:
        raise BodyTimeout("The body did not arrive in time.") from error
    finally:
        request[ELSEWHERE] = perf_counter() - began


async def _parse(raw: bytes, schema: ReportSchema) -> Report:
    with stage("parse"):
        if len(raw) < _LARGE_BODY:
            return parse(read_json(raw), schema)
        # To say what is wrong with a large body takes so long that others would notice: a thread shares the time.
        return await asyncio.to_thread(lambda: parse(read_json(raw), schema))


async def _ask(planned: Plan, request: web.Request, deadline: float, room: Room) -> Answer:
    """Run the report's query, and that of its totals beside it; if one fails or is cancelled, so is the other.

    What they answer takes the room.
    """
    druid, request_id, heavy = request.app[DRUID], request[REQUEST_ID], is_heavy(planned)
    with stage("compile"):
        query = compile_report(planned)
    queries = [(query, f"{request_id}-report")]
    if planned.report.totals:
        queries.append((compile_totals(planned), f"{request_id}-totals"))
    with stage("ask"):
        try:
            with _elsewhere(request) as replies:
                async with asyncio.TaskGroup() as group:
                    runs = [group.create_task(druid.run(each, name, deadline, heavy=heavy)) for each, name in queries]
                replies += [run.result() for run in runs]
        except ExceptionGroup as errors:
            # Not except*: what is raised there comes out in a group again, and so as a 500.
            raise errors.exceptions[0] from None
    room.resize(sum(reply.size for reply in replies))
    with stage("respond"):
        return respond(planned, query, replies[0].rows, replies[1].rows if planned.report.totals else None)


@contextmanager
def _elsewhere(request: web.Request) -> Iterator[list[Reply]]:
    """Count the time that a request waits for Druid: until the last of the replies came that are put into the list."""
    loop, replies = asyncio.get_running_loop(), list[Reply]()
    began, query_id = loop.time(), f"{request[REQUEST_ID]}-report"
    try:
        yield replies
        # Where it was shared, the query is another request's.
        query_id = replies[0].query_id
        tell({DRUID_QUERY_ID: query_id})
    finally:
        until = max((reply.came for reply in replies), default=loop.time())
        # It may have come before: of a query that was shared.
        took = max(0.0, until - began)
        request[ELSEWHERE] = request.get(ELSEWHERE, 0.0) + took
        request.app[METRICS].druid_seconds.note(request[DATA_SET], took)
        bind_contextvars(druid_query_id=query_id, druid_ms=round(took * 1000, 3))


async def _encode(answer: Answer) -> tuple[bytes, int]:
    """Return the answer as JSON, and how many rows it has.

    It is written whole before any of it is sent, and in slices, between which others have their turn.
    """
    fields = [{"name": name, "type": kind} for name, kind in answer.fields]
    parts = [b'{"fields":', orjson.dumps(fields), b',"data":[']
    warnings: dict[ReportWarning, None] = {}
    count = 0
    for each in answer.slices():
        if each.rows:
            parts += [b"," if count else b"", orjson.dumps(each.rows)[1:-1]]
        warnings |= dict.fromkeys(each.warnings)
        count += len(each.rows)
        await asyncio.sleep(0)
    parts.append(b"]")
    if answer.totals is not None:
        parts += [b',"totals":', orjson.dumps(answer.totals.rows[0])]
        warnings |= dict.fromkeys(answer.totals.warnings)
    if warnings:
        parts += [b',"warnings":', orjson.dumps([*warnings])]
    parts.append(b"}")
    return b"".join(parts), count


def document(body: Json) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that answers with this JSON document."""
    text = orjson.dumps(body)

    async def get(_: web.Request) -> web.Response:
        return web.Response(body=text, content_type="application/json")

    return get
