"""OpenTelemetry traces as a collector receives them: OTLP over HTTP, in protobuf."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.telemetry.otlp import FLUSH_SECONDS
from gateway.web.context import SERVICES
from gateway.web.tracing import traced
from tests.http import stand_in
from tests.http.asking import COUNT, Client, ask, assert_problem
from tests.http.collector import Collector, attributes, collecting
from tests.http.conftest import Start, StartProcess
from tests.http.stand_in import StandIn
from tests.links import slots
from tests.serving import D, serving, settings_for

ROUTE = "/api/reporting/v1/orgs/{organization_id}/chat_sessions"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Start a collector that the environment names."""
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield collector


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


async def test_a_report_is_a_span_with_its_stages_as_children(
    start: Start, druid_stand_in: StandIn, collector: Collector
) -> None:
    client = await start(druid_stand_in.url)
    answer = await client.post()
    spans = await collector.trace()
    report = spans[f"POST {ROUTE}"]
    assert report.kind == Span.SPAN_KIND_SERVER
    assert report.parent_span_id == b""
    assert attributes(report) == {
        "http.request.method": "POST",
        "http.route": ROUTE,
        "http.response.status_code": 200,
        "url.scheme": "http",
        "gateway.request_id": answer.headers["x-request-id"],
        "gateway.organization_id": D,
        "gateway.data_set": "chat_sessions",
    }
    stages = ("authenticate", "authorize", "read", "parse", "plan", "compile", "ask", "respond", "encode")
    ordered = sorted((spans[name] for name in stages), key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in ordered] == list(stages)
    assert all(span.parent_span_id == report.span_id for span in ordered)
    assert all(span.trace_id == report.trace_id for span in spans.values())
    assert all(
        report.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= report.end_time_unix_nano
        for span in spans.values()
    )
    [resource] = collector.requests[0].resource_spans
    assert {each.key: each.value.string_value for each in resource.resource.attributes}["service.name"]


async def test_the_query_contains_its_trace_parent(start: Start, druid_stand_in: StandIn, collector: Collector) -> None:
    headers: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        headers.append(request.headers["traceparent"])
        return await stand_in.respond(stand_in.row(count=7))(request)

    druid_stand_in.answer = answer
    client = await start(druid_stand_in.url)
    await client.post()
    spans = await collector.trace()
    query = spans["timeseries chat_sessions"]
    assert query.kind == Span.SPAN_KIND_CLIENT
    assert query.parent_span_id == spans["ask"].span_id
    [asked] = druid_stand_in.queries
    assert headers == [asked.query["context"]["traceparent"]]
    _, trace_id, span_id, flags = headers[0].split("-")
    assert (trace_id, span_id) == (query.trace_id.hex(), query.span_id.hex())
    assert int(flags, 16) & 1, "sampled"
    port = int(druid_stand_in.url.rpartition(":")[2])
    assert attributes(query) == {
        "db.system.name": "druid",
        "db.operation.name": "timeseries",
        "db.collection.name": "chat_sessions",
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.response.status_code": 200,
        "gateway.druid_query_id": asked.id,
    }


@pytest.mark.parametrize("flag", ["00", "01"])
async def test_a_callers_traceparent_names_the_trace_but_does_not_decide_sampling(
    start: Start, druid_stand_in: StandIn, collector: Collector, flag: str
) -> None:
    client = await start(druid_stand_in.url)
    await ask(client, headers={"traceparent": f"00-{TRACE}-{PARENT}-{flag}", "tracestate": "their=secret"})
    spans = await collector.trace()
    report = spans[f"POST {ROUTE}"]
    assert (report.trace_id.hex(), report.parent_span_id.hex()) == (TRACE, PARENT)
    assert all(b"secret" not in each for each in collector.raw)


@pytest.mark.parametrize("nonsense", ["", "00-zz-zz-01", f"00-{'0' * 32}-{PARENT}-01", "x" * 5000])
async def test_an_invalid_traceparent_begins_a_new_trace(
    start: Start, druid_stand_in: StandIn, collector: Collector, nonsense: str
) -> None:
    client = await start(druid_stand_in.url)
    assert (await ask(client, headers={"traceparent": nonsense})).status == 200
    assert (await collector.trace())[f"POST {ROUTE}"].parent_span_id == b""


async def test_the_operator_can_let_the_caller_decide_sampling(
    start: Start, druid_stand_in: StandIn, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    client = await start(druid_stand_in.url)
    await ask(client)
    await ask(client, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    await collector.trace()
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}


async def test_spans_have_the_codes_of_errors(start: Start, druid_stand_in: StandIn, collector: Collector) -> None:
    druid_stand_in.answer = stand_in.error(504)
    client = await start(druid_stand_in.url)
    assert_problem(await client.post(), 504, "timeout")
    spans = await collector.trace()
    for name in (f"POST {ROUTE}", "ask", "timeseries chat_sessions"):
        assert attributes(spans[name])["error.type"] == "timeout", name
        assert spans[name].status.code == Status.STATUS_CODE_ERROR
    assert attributes(spans[f"POST {ROUTE}"])["gateway.code"] == "timeout"
    assert not any(span.events or span.status.message for span in spans.values())
    collector.raw.clear()
    await client.post([])
    report = (await collector.trace())[f"POST {ROUTE}"]
    assert attributes(report)["gateway.code"] == "invalid_report"
    assert report.status.code == Status.STATUS_CODE_UNSET


async def test_waiting_for_a_slot_and_cancelling_are_spans(
    start: Start, druid_stand_in: StandIn, collector: Collector
) -> None:
    druid_stand_in.answer = stand_in.never
    client = await start(druid_stand_in.url, druid_queries=2)
    first = asyncio.create_task(client.post())
    await druid_stand_in.wait_for(queries=1)
    second = asyncio.create_task(client.post(COUNT | {"granularity": "day"}))
    await until(lambda: slots(client.gateway.app)[0].queued == 1)
    for each in (second, first):
        each.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    await druid_stand_in.wait_for(cancelled=1)
    spans = await collector.trace(2, "cancel")
    assert attributes(spans["wait for a slot"])["error.type"] == "abandoned"
    assert attributes(spans["cancel"])["gateway.druid_query_id"] == druid_stand_in.queries[0].id
    assert attributes(spans["timeseries chat_sessions"])["error.type"] == "abandoned"


async def test_the_spans_of_all_sharing_requests_name_the_shared_query(
    start: Start, druid_stand_in: StandIn, collector: Collector
) -> None:
    go = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await go.wait()
        return await stand_in.respond(stand_in.row(count=7))(request)

    druid_stand_in.answer = answer
    client = await start(druid_stand_in.url)
    posts = [asyncio.create_task(client.post()) for _ in range(2)]
    await until(lambda: client.gateway.app[SERVICES].instruments.druid_shared._value.get() == 1)
    go.set()
    await asyncio.gather(*posts)
    await collector.trace(2)
    asked = [attributes(span)["gateway.druid_query_id"] for span in collector.spans if span.name == "ask"]
    assert asked == [druid_stand_in.queries[0].id] * 2


async def test_a_trace_contains_no_secret_and_no_text_of_a_caller(
    start: Start, druid_stand_in: StandIn, collector: Collector
) -> None:
    client = await start(druid_stand_in.url)
    secret = "nobodys-business"
    asked = COUNT | {"filters": {"type": "selector", "dimension": "user_id", "value": secret}}
    for answer in (stand_in.respond(stand_in.row(count=7)), stand_in.error(500), stand_in.respond_with(b"[")):
        druid_stand_in.answer = answer
        await ask(client, asked)
    await ask(client, {secret: secret})
    await client.send("GET", f"/{secret}?token={secret}", headers={"Authorization": f"Token {secret}"})
    await client.send("PROPFIND", f"/{secret}", headers={"User-Agent": secret, "baggage": f"a={secret}"})
    spans = await collector.trace(6)
    assert {"GET", "_OTHER"} <= spans.keys()
    raw = b"".join(collector.raw).decode("latin-1")
    tokens = client.gateway.tokens.values()
    told = (secret, "PROPFIND", *tokens, *(each.partition("_")[2] for each in tokens), stand_in.TEXT, stand_in.HOST)
    assert [each for each in told if each and each in raw] == []


async def test_every_log_line_has_the_trace_id(
    start_process: StartProcess, druid_stand_in: StandIn, collector: Collector
) -> None:
    async with start_process(druid_stand_in.url) as process:
        await ask(process.client, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        await collector.trace()
    lines = [line for line in process.lines() if "request_id" in line]
    assert lines
    assert {line["trace_id"] for line in lines} == {TRACE}


async def test_the_last_spans_are_sent_at_the_end(
    tmp_path: Path, druid_stand_in: StandIn, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    async with serving(settings_for(tmp_path, druid_stand_in.url)) as gateway, Client(gateway) as client:
        await client.post()
        assert collector.raw == []
    assert len(collector.spans) == 11


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "is away"])
async def test_neither_requests_nor_the_end_wait_for_a_collector(
    tmp_path: Path, druid_stand_in: StandIn, collector: Collector, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    collector.hangs = hangs
    if not hangs:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
    # Far more spans than the queue holds, and a collector that would delay the end for a minute.
    for name, value in {"MAX_QUEUE_SIZE": "20", "MAX_EXPORT_BATCH_SIZE": "10"}.items():
        monkeypatch.setenv(f"OTEL_BSP_{name}", value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    loop = asyncio.get_running_loop()
    async with serving(settings_for(tmp_path, druid_stand_in.url)) as gateway, Client(gateway) as client:
        for _ in range(50):
            async with asyncio.timeout(5):
                assert (await client.post()).status == 200
        ending = loop.time()
    assert loop.time() - ending < 2 * FLUSH_SECONDS


async def test_without_a_collector_the_sdk_is_not_imported(
    start: Start, druid_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    client = await start(druid_stand_in.url)
    assert traced not in client.gateway.app.middlewares
    await client.post()
    [asked] = druid_stand_in.queries
    assert "traceparent" not in asked.query["context"]
    program = "import sys; import gateway.cli; print([each for each in sys.modules if 'opentelemetry.sdk' in each])"
    # A child process, because this process has imported it.
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"  # noqa: ASYNC221


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none"])
async def test_the_standard_variables_disable_tracing(
    start: Start, druid_stand_in: StandIn, collector: Collector, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    name, _, value = variable.partition("=")
    monkeypatch.setenv(name, value)
    client = await start(druid_stand_in.url)
    assert traced not in client.gateway.app.middlewares
    assert collector.raw == []


async def test_an_unsampled_trace_is_passed_to_druid_and_is_in_the_log(
    start_process: StartProcess, druid_stand_in: StandIn, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    async with start_process(druid_stand_in.url) as process:
        assert (await ask(process.client, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})).status == 200
    assert collector.raw == []
    _, trace_id, _, flags = druid_stand_in.queries[0].query["context"]["traceparent"].split("-")
    assert (trace_id, int(flags, 16) & 1) == (TRACE, 0)
    assert {line["trace_id"] for line in process.lines() if "request_id" in line} == {TRACE}
