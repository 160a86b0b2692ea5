"""gateway.client asks the real gateway, which has a stand-in in Druid's place."""

import asyncio
import logging
import signal
import sys
import traceback
from collections.abc import Iterator

import pytest
from aiohttp import web

from gateway.client import (
    Answer,
    AsyncClient,
    Client,
    Field,
    Limits,
    Organization,
    Problem,
    Report,
    ReportingError,
)
from gateway.client.operations import organizations
from tests.clients.conftest import REPORT, SESSIONS, Open, Start
from tests.http.stand_in import StandIn, answering_bytes, error, never, respond, row
from tests.http.test_reuse import Versioned
from tests.serving import D, P

TOKEN = "gwt_secret_0123456789"


async def test_a_report_is_answered_with_the_names_of_the_json(
    start: Start, open_client: Open, druid_stand_in: StandIn
) -> None:
    druid_stand_in.answer = respond(row(count=7))
    gateway = await start()
    run = await open_client(gateway.url, gateway.tokens[D])
    answer: Answer = await run(SESSIONS.answer(REPORT))
    assert answer.fields == (Field("start_time", "dimension"), Field("count", "metric"))
    assert answer.data == [["2019-01-01T00:00:00.000+02:00", 7]]
    assert answer.records() == [{"start_time": "2019-01-01T00:00:00.000+02:00", "count": 7}]
    assert (answer.totals, answer.other, answer.interval, answer.freshness) == (None, None, None, None)
    assert [each.code for each in answer.warnings] == ["not_filtered"]
    assert answer.warnings[0].pointer == "/filters"
    assert answer.request_id


async def test_the_organizations_of_a_credential_are_listed(start: Start, open_client: Open) -> None:
    gateway = await start()
    run = await open_client(gateway.url, gateway.tokens[D])
    assert await run(organizations()) == [
        Organization(D, f"Organization {D[:8]}", is_partner=False, data_sets=("chat_sessions",)),
        Organization(P, f"Organization {P[:8]}", is_partner=True, data_sets=("chat_sessions",)),
    ]


async def test_a_report_is_explained(start: Start, open_client: Open) -> None:
    gateway = await start()
    run = await open_client(gateway.url, gateway.tokens[D])
    assert (await run(SESSIONS.explanation(REPORT)))["report"]["granularity"] == "all"


async def test_an_error_has_its_code_status_request_and_pointers(start: Start, open_client: Open) -> None:
    gateway = await start()
    run = await open_client(gateway.url, gateway.tokens[D])
    wrong: Report = {**REPORT, "aggregations": [{"type": "sum", "fields": ["sale"]}]}
    with pytest.raises(ReportingError) as raised:
        await run(SESSIONS.answer(wrong))
    assert (raised.value.code, raised.value.status) == ("invalid_report", 400)
    assert raised.value.request_id
    [problem] = raised.value.errors
    assert problem == Problem("/aggregations/0/fields/0", problem.message)
    assert str(raised.value).startswith("invalid_report: The report has 1 problem.")
    assert "/aggregations/0/fields/0: " in str(raised.value)
    with pytest.raises(ReportingError) as raised:
        await (await open_client(gateway.url, "wrong"))(SESSIONS.answer(REPORT))
    assert (raised.value.code, raised.value.status) == ("unauthenticated", 401)


async def test_a_report_that_is_too_long_for_a_link_is_sent_in_a_body(
    start: Start, open_client: Open, druid_stand_in: StandIn
) -> None:
    druid_stand_in.answer = respond(row(count=7))
    gateway = await start()
    run = await open_client(gateway.url, gateway.tokens[D])
    values = [f"visitor-{number}" for number in range(900)]
    long: Report = {**REPORT, "filters": {"type": "in", "dimension": "visitor_ids", "values": values}}
    assert SESSIONS.answer(long).request.method == "POST"
    assert (await run(SESSIONS.answer(long))).data == [["2019-01-01T00:00:00.000+02:00", 7]]


async def test_a_refused_report_is_sent_again_when_the_gateway_said(
    start: Start, open_client: Open, druid_stand_in: StandIn
) -> None:
    released = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return await respond(row(count=7))(request)

    druid_stand_in.answer = hold
    gateway = await start(concurrent_reports=1)
    run = await open_client(gateway.url, gateway.tokens[D])
    first = asyncio.create_task(run(SESSIONS.answer(REPORT)))
    await druid_stand_in.wait_for(queries=1, seconds=20)
    second = asyncio.create_task(run(SESSIONS.answer({**REPORT, "totals": True})))
    # The gateway refuses it with 429 and Retry-After: 1; a client that did not wait would fail at once.
    await asyncio.sleep(0.5)
    released.set()
    assert (await first).data == (await second).data


async def test_an_answer_that_has_not_changed_is_not_sent_again(
    start: Start, open_client: Open, druid_stand_in: StandIn
) -> None:
    druid = Versioned()
    druid_stand_in.answer = druid.answer
    gateway = await start(reuse_seconds=0.001)
    run = await open_client(gateway.url, gateway.tokens[D])
    first = await run(SESSIONS.answer(REPORT))
    second = await run(SESSIONS.answer(REPORT))
    assert druid.asked == ["none", "v1"]
    assert second.data == first.data
    assert second.request_id != first.request_id
    druid.version = "v2"
    assert (await run(SESSIONS.answer(REPORT))).data != first.data


async def test_a_cancelled_task_cancels_its_query_in_druid(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = never
    gateway = await start()
    async with AsyncClient(gateway.url, gateway.tokens[D]) as client:
        task = asyncio.create_task(client.run(SESSIONS.answer(REPORT)))
        await druid_stand_in.wait_for(queries=1, seconds=20)
        task.cancel()
        await druid_stand_in.wait_for(cancelled=1, seconds=20)
        with pytest.raises(asyncio.CancelledError):
            await task
        druid_stand_in.answer = respond(row(count=7))
        assert (await client.run(SESSIONS.answer(REPORT))).data == [["2019-01-01T00:00:00.000+02:00", 7]]


async def test_a_report_that_takes_too_long_is_abandoned_and_cancelled_in_druid(
    start: Start, open_client: Open, druid_stand_in: StandIn
) -> None:
    druid_stand_in.answer = never
    gateway = await start()
    run = await open_client(gateway.url, gateway.tokens[D], limits=Limits(seconds=2))
    with pytest.raises(ReportingError) as raised:
        await run(SESSIONS.answer(REPORT))
    # The gateway knows how long the client waits, so that either may end first.
    assert raised.value.code in ("no_response", "timeout")
    # On a very busy machine the time may be over before the query is sent.
    await druid_stand_in.wait_for(cancelled=len(druid_stand_in.queries), seconds=20)


PROGRAM = """
import os
from gateway.client import Client
with Client(os.environ["GATEWAY_URL"], os.environ["GATEWAY_TOKEN"]) as client:
    client.data_set(os.environ["ORGANIZATION"], "chat_sessions").answer({
        "interval": {"start": "2019-01-01", "end": "2019-01-02"}, "aggregations": [{"type": "count"}],
    })
"""


async def test_an_interrupted_program_cancels_its_query_in_druid(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = never
    gateway = await start()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM),
        env={"GATEWAY_URL": gateway.url, "GATEWAY_TOKEN": gateway.tokens[D], "ORGANIZATION": D},
        stderr=asyncio.subprocess.PIPE,
    )
    await druid_stand_in.wait_for(queries=1, seconds=60)
    process.send_signal(signal.SIGINT)
    await druid_stand_in.wait_for(cancelled=1, seconds=20)
    _, said = await process.communicate()
    assert b"KeyboardInterrupt" in said


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Everything that any logger of the process writes at any level."""
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root, handler = logging.getLogger(), Collect()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


async def test_the_token_is_in_no_text_that_the_client_makes(open_client: Open, logged: list[str]) -> None:
    texts = [repr(Client("https://gateway.example", TOKEN)), repr(AsyncClient("https://gateway.example", TOKEN))]
    for garbage in (b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b""):
        async with answering_bytes(garbage) as url:
            run = await open_client(url, TOKEN, limits=Limits(attempts=1))
            with pytest.raises(ReportingError) as raised:
                await run(SESSIONS.answer(REPORT))
            assert (raised.value.code, raised.value.status) == ("no_response", None)
            texts += ["".join(traceback.format_exception(raised.value)), repr(raised.value)]
    assert TOKEN not in "\n".join(texts + logged)
    assert TOKEN not in SESSIONS.answer(REPORT).request.target
    for user in ("user:password", ":password"):
        with pytest.raises(ValueError, match="without a user name"):
            Client(f"https://{user}@gateway.example", TOKEN)
    with pytest.raises(ValueError, match="token must be") as refused:
        Client("https://gateway.example", f"{TOKEN}\n")
    assert TOKEN not in str(refused.value)


async def test_errors_of_druid_come_as_the_gateways_codes(
    start: Start, open_client: Open, druid_stand_in: StandIn
) -> None:
    druid_stand_in.answer = error(500)
    gateway = await start()
    run = await open_client(gateway.url, gateway.tokens[D])
    with pytest.raises(ReportingError) as raised:
        await run(SESSIONS.answer(REPORT))
    assert (raised.value.code, raised.value.status) == ("bad_upstream_answer", 502)
