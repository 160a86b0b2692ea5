"""Whatever Druid does, the caller gets a complete response or a clear error, and never Druid's own texts."""

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.http import stand_in
from tests.http.asking import BY_OWNER, COUNT, Client, assert_problem
from tests.http.conftest import Start
from tests.http.stand_in import StandIn, about_columns, answering_bytes, read_request, respond, respond_with
from tests.serving import D

WHOLE = b'[{"timestamp":"2019-01-01T00:00:00.000Z","result":{"count":7}}]'


@pytest.mark.parametrize(
    ("handler", "status", "code"),
    [
        (stand_in.error(429, "Query capacity exceeded"), 429, "too_many_requests"),
        (stand_in.error(400, "Resource limit exceeded"), 422, "report_too_large"),
        (stand_in.error(400), 500, "internal"),
        (stand_in.error(401), 502, "bad_upstream_answer"),
        (stand_in.error(403), 502, "bad_upstream_answer"),
        (stand_in.error(404), 502, "bad_upstream_answer"),
        (stand_in.error(500), 502, "bad_upstream_answer"),
        (stand_in.error(501), 502, "bad_upstream_answer"),
        (stand_in.error(502), 502, "bad_upstream_answer"),
        (stand_in.error(503), 503, "upstream_unavailable"),
        (stand_in.error(504, "Query timeout"), 504, "timeout"),
        # Responses with status 200 that are not rows.
        (stand_in.error(200), 502, "bad_upstream_answer"),
        (respond_with(b""), 502, "bad_upstream_answer"),
        (respond_with(b"<html><body>Jetty</body></html>", "text/html"), 502, "bad_upstream_answer"),
        (respond_with(b"<html><body>Jetty</body></html>", "text/html", 500), 502, "bad_upstream_answer"),
        (respond_with(b"<html><body>Jetty</body></html>", "text/html", 503), 503, "upstream_unavailable"),
        (respond_with(b'{"error":', status=400), 500, "internal"),
        (respond_with(b"[1]", status=429), 429, "too_many_requests"),
        (respond("rows"), 502, "bad_upstream_answer"),
        (respond(None), 502, "bad_upstream_answer"),
        (respond_with(b'\xff\xfe["'), 502, "bad_upstream_answer"),
        (respond_with(WHOLE[:-1]), 502, "bad_upstream_answer"),
        # Complete responses to other queries.
        (respond([1, 2]), 502, "bad_upstream_answer"),
        (respond([[D, 7]]), 502, "bad_upstream_answer"),
        (respond(stand_in.row(visitors=7)), 502, "bad_upstream_answer"),
        (respond(stand_in.row(count="many")), 502, "bad_upstream_answer"),
        (respond(stand_in.row(count={"error": stand_in.TEXT})), 502, "bad_upstream_answer"),
        (respond([{"timestamp": "yesterday", "result": {"count": 7}}]), 502, "bad_upstream_answer"),
        (respond(stand_in.row(count=7) * 2), 502, "bad_upstream_answer"),
    ],
)
async def test_each_response_of_druid_becomes_a_result_or_an_error(
    client: Client, druid_stand_in: StandIn, handler: stand_in.Handler, status: int, code: str
) -> None:
    druid_stand_in.answer = handler
    assert_problem(await client.post(), status, code)


PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
TOLD = [
    pytest.param(stand_in.error(int(each), reason or "Unknown exception"), int(status), code, id=f"{each} {reason}")
    for statuses, reason, status, code in re.findall(
        r"^\| ([45]\d\d(?:, \d{3})*)(?: `([^`]+)`)?[^|]*\| (\d{3}) \| `(\w+)` \|$",
        PAGE.partition("## What Druid's conditions become")[2],
        re.MULTILINE,
    )
    for each in statuses.split(", ")
]


@pytest.mark.parametrize(("handler", "status", "code"), TOLD)
async def test_each_status_of_druid_becomes_the_documented_error(
    client: Client, druid_stand_in: StandIn, handler: stand_in.Handler, status: int, code: str
) -> None:
    assert len(TOLD) == 8, "the page's table is of another form"
    druid_stand_in.answer = handler
    assert_problem(await client.post(), status, code)


@pytest.mark.parametrize(
    "answer", [[["org"]], [["org", 7, 7]], [{"scope": "org"}], [None], [["org", True]], [["org", "7"]]]
)
async def test_rows_of_another_shape_are_502(client: Client, druid_stand_in: StandIn, answer: Any) -> None:
    druid_stand_in.answer = respond(answer)
    assert_problem(await client.post(COUNT | {"group_by": ["scope"]}), 502, "bad_upstream_answer")


@pytest.mark.parametrize("status", [429, 503])
async def test_temporary_errors_have_retry_after(client: Client, druid_stand_in: StandIn, status: int) -> None:
    druid_stand_in.answer = stand_in.error(status)
    assert int((await client.post()).headers["retry-after"]) > 0


async def test_druids_error_is_logged(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = stand_in.error(400)
    with capture_logs() as lines:
        await client.post()
    [line] = [line for line in lines if line["event"] == "druid_rejected_query"]
    assert line["log_level"] == "error"
    assert (line["druid_status"], line["message"]) == (400, stand_in.TEXT)


CUT = [
    # Fewer bytes than Content-Length.
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n" + WHOLE,
    # An incomplete chunk, and chunks without the last one.
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + WHOLE,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(WHOLE), WHOLE),
    # Druid failed after the first row: the HTTP response is complete, and the array is not.
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(WHOLE) - 1, WHOLE[:-1]),
    # Not HTTP.
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
]


@pytest.mark.parametrize("answer", CUT, ids=range(len(CUT)))
@pytest.mark.parametrize("reset", [False, True])
async def test_an_incomplete_response_is_502(start: Start, answer: bytes, reset: bool) -> None:  # noqa: FBT001
    async with answering_bytes(answer, reset=reset) as url:
        client = await start(url)
        assert_problem(await client.post(), 502, "bad_upstream_answer")


async def test_the_same_rows_in_a_complete_response_are_200(start: Start) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(WHOLE), WHOLE)
    async with answering_bytes(chunked) as url:
        client = await start(url)
        assert (await client.post()).data == [["2019-01-01T00:00:00.000+02:00", 7]]


async def test_a_refused_connection_is_503(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = await start(f"http://127.0.0.1:{port}")
    answer = await client.post()
    assert_problem(answer, 503, "upstream_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_response_above_the_limit_is_422_and_cancelled(start: Start, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = respond([[D, n] for n in range(10_000)])
    client = await start(druid_stand_in.url, max_answer_bytes=65_536)
    answer = await client.post(BY_OWNER)
    assert_problem(answer, 422, "report_too_large")
    assert "shorter interval" in answer.json["detail"]
    await druid_stand_in.wait_for(cancelled=1)
    assert druid_stand_in.cancelled == [druid_stand_in.queries[0].id]


async def test_one_row_above_the_limit_is_an_error_and_never_truncated(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, max_rows=10)
    druid_stand_in.answer = respond([[D, n] for n in range(11)])
    answer = await client.post(BY_OWNER)
    assert_problem(answer, 400, "limit_exceeded")
    assert "10 rows" in answer.json["detail"]
    druid_stand_in.answer = respond([[D, n] for n in range(10)])
    assert len((await client.post(BY_OWNER)).data) == 10


async def test_the_deadline_applies_between_chunks_of_the_response(start: Start) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        if head.startswith(b"DELETE"):
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        elif (columns := about_columns(head, body)) is not None:
            writer.write(columns)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n")
            await writer.drain()
            # Until the gateway closes the connection.
            await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    async with server:
        client = await start(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", request_timeout=0.3)
        assert_problem(await client.post(), 504, "timeout")
