"""The metrics on their own port, read with Prometheus' parser."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from tests.datasets import CHAT_SESSIONS
from tests.http import stand_in
from tests.http.asking import COUNT, Client, assert_problem
from tests.http.conftest import Start
from tests.http.stand_in import StandIn, answering_bytes
from tests.serving import D, T

NAME = CHAT_SESSIONS.name


@dataclass(slots=True)
class Scraped:
    """One scrape: values by name and labels."""

    text: str

    def value(self, sample: str, **labels: str) -> float:
        """Return the value of the one sample with these labels, and maybe others; 0 if there is none."""
        found = [
            each.value
            for family in text_string_to_metric_families(self.text)
            for each in family.samples
            if each.name == sample and labels.items() <= each.labels.items()
        ]
        assert len(found) <= 1, (sample, labels)
        return found[0] if found else 0.0

    def labels(self, name: str) -> set[str]:
        return {
            value
            for family in text_string_to_metric_families(self.text)
            for each in family.samples
            for label, value in each.labels.items()
            if label == name
        }


Scrape = Callable[[], Awaitable[Scraped]]


@asynccontextmanager
async def scraping(port: int) -> AsyncIterator[Scrape]:
    async with aiohttp.ClientSession() as session:

        async def scrape() -> Scraped:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                assert response.headers["Content-Type"].startswith("text/plain; version=")
                return Scraped(await response.text())

        yield scrape


@dataclass(slots=True)
class Watched:
    client: Client
    druid: StandIn
    scrape: Scrape

    async def until(self, value: float, sample: str, **labels: str) -> Scraped:
        """Return the first scrape in which a sample has this value."""
        async with asyncio.timeout(10):
            while (seen := await self.scrape()).value(sample, **labels) != value:  # noqa: ASYNC110 - only a scrape tells
                await asyncio.sleep(0.01)
        return seen


Watch = Callable[..., Awaitable[Watched]]


@pytest.fixture
async def watch(start: Start, druid_stand_in: StandIn) -> AsyncIterator[Watch]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    async with scraping(port) as scrape:

        async def watched(broker_url: str | None = None, **changes: Any) -> Watched:
            client = await start(broker_url or druid_stand_in.url, metrics_port=port, **changes)
            return Watched(client, druid_stand_in, scrape)

        yield watched


async def test_requests_are_counted_by_data_set_status_and_code(watch: Watch) -> None:
    watched = await watch()
    await watched.client.post()
    await watched.client.post([])
    await watched.client.post(token="unknown")
    await watched.client.send("GET", "/somewhere")
    seen = await watched.scrape()
    requests = "gateway_requests_total"
    assert seen.value(requests, data_set=NAME, status="200", code="") == 1
    assert seen.value(requests, data_set=NAME, status="400", code="invalid_report") == 1
    assert seen.value(requests, data_set=NAME, status="401", code="unauthenticated") == 1
    assert seen.value(requests, data_set="none", status="404", code="not_found") == 1
    assert seen.value("gateway_rows_total", data_set=NAME) == 1
    assert seen.value("gateway_request_seconds_count", data_set=NAME) == 3
    assert seen.value("gateway_request_own_seconds_count", data_set=NAME) == 3
    assert seen.value("gateway_druid_seconds_count", data_set=NAME) == 1


async def test_requests_that_reach_no_handler_are_counted(watch: Watch) -> None:
    watched = await watch()
    path = watched.client.gateway.path()
    refused = await watched.client.send("POST", path, headers={"Expect": "a miracle"}, data=b"{}")
    assert_problem(refused, 417, "expectation_failed")
    reader, writer = await asyncio.open_connection(*watched.client.gateway.url.removeprefix("http://").split(":"))
    writer.write(b"this is no HTTP\r\n\r\n")
    assert b" 400 " in await reader.read()
    writer.close()
    await writer.wait_closed()
    seen = await watched.scrape()
    assert seen.value("gateway_requests_total", data_set="none", status="417", code="expectation_failed") == 1
    assert seen.value("gateway_requests_total", data_set="none", status="400", code="bad_request") == 1


async def test_druids_time_the_wait_for_a_slot_and_the_gateways_own_time_are_separate(watch: Watch) -> None:
    """Druid takes half a second per query, and two queries wait as long for a slot."""
    watched = await watch(druid_queries=2, druid_heavy_queries=1)
    slow = 0.5

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(slow)
        return await stand_in.respond(stand_in.row(count=7))(request)

    watched.druid.answer = answer
    bodies = [COUNT | {"granularity": each} for each in ("all", "day", "week")]
    await asyncio.gather(*(watched.client.post(body) for body in bodies))
    seen = await watched.scrape()
    assert seen.value("gateway_druid_query_seconds_count", outcome="answered") == 3
    in_druid = seen.value("gateway_druid_query_seconds_sum", outcome="answered")
    waited = seen.value("gateway_druid_wait_seconds_sum", lane="ordinary")
    # One organization has half of the slots: the second query waits for the first, and the third for both.
    assert in_druid >= 3 * slow
    assert waited >= (1 + 2) * slow * 0.95
    both = seen.value("gateway_druid_seconds_sum", data_set=NAME)
    assert both == pytest.approx(in_druid + waited, rel=0.1)
    own = seen.value("gateway_request_own_seconds_sum", data_set=NAME)
    assert own == pytest.approx(seen.value("gateway_request_seconds_sum", data_set=NAME) - both, abs=0.01)
    assert own < both / 3


async def test_waiting_for_a_slow_body_is_not_the_gateways_own_time(watch: Watch) -> None:
    watched = await watch()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"[" + b" " * 100
        await asyncio.sleep(1)
        yield b"]"

    headers = {"Authorization": f"Token {watched.client.gateway.tokens[D]}"}
    answer = await watched.client.send("POST", watched.client.gateway.path(), headers=headers, data=slowly())
    assert_problem(answer, 400, "invalid_report")
    seen = await watched.scrape()
    whole = seen.value("gateway_request_seconds_sum", data_set=NAME)
    assert whole >= 1
    assert seen.value("gateway_request_own_seconds_sum", data_set=NAME) <= whole - 0.95


async def test_running_and_queued_queries_are_gauges(watch: Watch) -> None:
    watched = await watch(druid_queries=2)
    watched.druid.answer = stand_in.never
    bodies = [COUNT | {"granularity": each} for each in ("all", "day", "week")]
    asked = [asyncio.create_task(watched.client.post(body)) for body in bodies]
    seen = await watched.until(2, "gateway_druid_queries_queued", lane="ordinary")
    assert seen.value("gateway_druid_queries_running", lane="ordinary") == 1
    assert seen.value("gateway_druid_queries_running", lane="heavy") == 0
    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    seen = await watched.until(3, "gateway_requests_abandoned_total", data_set=NAME)
    # They keep their slots until Druid has ended them.
    seen = await watched.until(0, "gateway_druid_queries_running", lane="ordinary")
    assert seen.value("gateway_druid_wait_seconds_count", lane="ordinary", outcome="abandoned") == 2


async def test_outcomes_of_queries_and_cancellations_are_counted_by_broker(watch: Watch) -> None:
    watched = await watch()
    broker = f"{watched.druid.url}/"
    for answer in (stand_in.error(504), stand_in.error(400, "Resource limit exceeded"), stand_in.respond_with(b"[")):
        watched.druid.answer = answer
        await watched.client.post()
    watched.druid.answer = stand_in.never
    asked = asyncio.create_task(watched.client.post())
    await watched.druid.wait_for(queries=4)
    asked.cancel()
    await watched.druid.wait_for(cancelled=1)
    seen = await watched.until(1, "gateway_druid_cancellation_seconds_count", broker=broker, outcome="accepted")
    for outcome in ("timeout", "report_too_large", "bad_upstream_answer", "abandoned"):
        assert seen.value("gateway_druid_query_seconds_count", broker=broker, outcome=outcome) == 1, outcome
    assert seen.value("gateway_broker_up", broker=broker) == 1


async def test_the_label_of_a_broker_has_no_password(watch: Watch) -> None:
    async with answering_bytes(b"", reset=True) as url:
        watched = await watch(url.replace("//", "//operator:hush@"))
        assert_problem(await watched.client.post(), 503, "upstream_unavailable")
        broker = f"{url}/"
        seen = await watched.until(0, "gateway_broker_up", broker=broker)
    assert seen.value("gateway_druid_query_seconds_count", broker=broker, outcome="no_answer") == 1
    assert "hush" not in seen.text


async def test_coalesced_queries_are_counted(watch: Watch) -> None:
    watched = await watch()
    asked = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await asked.wait()
        return await stand_in.respond(stand_in.row(count=7))(request)

    watched.druid.answer = answer
    posts = [asyncio.create_task(watched.client.post()) for _ in range(3)]
    await watched.until(2, "gateway_druid_shared_total")
    asked.set()
    assert [answer.status for answer in await asyncio.gather(*posts)] == [200] * 3
    assert len(watched.druid.queries) == 1


async def test_account_lookups_are_counted_by_source(watch: Watch) -> None:
    watched = await watch()
    await watched.client.post()
    await watched.client.post()
    await watched.client.post(organization=str(uuid4()), token=watched.client.gateway.tokens[D])
    seen = await watched.scrape()
    assert seen.value("gateway_account_lookups_total", kind="token", source="database") == 1
    assert seen.value("gateway_account_lookups_total", kind="token", source="memory") == 2
    assert seen.value("gateway_account_database_seconds_count", kind="token", outcome="found") == 1
    assert seen.value("gateway_account_database_seconds_count", kind="standing", outcome="absent") == 1


async def test_no_label_contains_text_of_a_caller(watch: Watch) -> None:
    watched = await watch()
    before = await watched.scrape()
    made_up = "thoroughly-made-up"
    for number in range(20):
        await watched.client.post(organization=f"{made_up}-{number}", token=watched.client.gateway.tokens[T])
        await watched.client.post(COUNT | {made_up: number})
        await watched.client.send("GET", f"/{made_up}/{number}", headers={"Authorization": f"Token {made_up}"})
        await watched.client.send(made_up, f"/api/reporting/v1/orgs/{made_up}/{made_up}")
    seen = await watched.scrape()
    assert made_up not in seen.text.lower()
    assert seen.labels("data_set") <= {NAME, "none"}
    assert not {D, T} & set(seen.text.split('"'))
    assert len(seen.text.splitlines()) - len(before.text.splitlines()) < 200


async def test_every_metric_has_a_description_a_unit_and_the_right_type(watch: Watch) -> None:
    watched = await watch()
    await watched.client.post()
    families = list(text_string_to_metric_families((await watched.scrape()).text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.documentation.endswith("."), family.name
        if not family.name.startswith("gateway_"):
            assert family.name.startswith("process_"), family.name
            continue
        names = {sample.name for sample in family.samples}
        match family.type:
            case "counter":
                assert names <= {f"{family.name}_total"}
            case "histogram":
                assert family.name.endswith("_seconds")
                assert names <= {f"{family.name}_{each}" for each in ("bucket", "sum", "count")}
            case kind:
                assert kind == "gauge"
                assert not family.name.endswith("_total")


async def test_the_public_port_has_no_metrics(client: Client) -> None:
    assert (await client.send("GET", "/metrics")).status == 404


async def test_queries_are_counted_by_where_their_rows_come_from(watch: Watch) -> None:
    watched = await watch(reuse_seconds=60)
    for _ in range(3):
        await watched.client.post()
    seen = await watched.scrape()
    assert seen.value("gateway_reuse_total", origin="druid") == 1
    assert seen.value("gateway_reuse_total", origin="memory") == 2
    assert seen.value("gateway_reuse_bytes") == seen.value("gateway_answers_bytes") > 1_000
