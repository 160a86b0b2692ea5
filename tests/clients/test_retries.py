"""When the client sends a request again, in front of a server that answers as told."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import inf, nan
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from gateway.client import Limits, ReportingError
from gateway.client.exchange import NoResponse, Request, Response
from gateway.client.paging import first_page
from gateway.client.retries import Attempts
from gateway.client.stored import StoredResponses
from tests.clients.conftest import REPORT, SESSIONS, Open
from tests.serving import listening

ANSWER = {"fields": [{"name": "count", "type": "metric"}], "data": [[7]]}


@dataclass(slots=True)
class Server:
    """Gives these answers in turn, then the last one forever."""

    url: str = ""
    answers: list[Callable[[], web.Response]] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return self.answers[min(len(self.requests), len(self.answers)) - 1]()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    async with listening(app) as server.url:
        yield server


def problem(status: int, code: str, retry_after: str | None) -> Callable[[], web.Response]:
    body = {"detail": "Retry later.", "code": code, "status": status, "request_id": "0" * 32}
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return lambda: web.json_response(body, status=status, headers=headers)


def whole() -> web.Response:
    return web.json_response(ANSWER)


@pytest.mark.parametrize(
    ("status", "code"), [(429, "rate_limited"), (503, "data_unavailable"), (503, "upstream_unavailable")]
)
async def test_429_and_503_are_sent_again(server: Server, open_client: Open, status: int, code: str) -> None:
    server.answers = [problem(status, code, "0"), problem(status, code, "0"), whole]
    run = await open_client(server.url)
    assert (await run(SESSIONS.answer(REPORT))).data == [[7]]
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500, 502, 504])
async def test_other_errors_are_not_sent_again(server: Server, open_client: Open, status: int) -> None:
    server.answers = [problem(status, "some_code", "0")]
    run = await open_client(server.url)
    with pytest.raises(ReportingError) as raised:
        await run(SESSIONS.answer(REPORT))
    assert (raised.value.status, raised.value.code, raised.value.request_id) == (status, "some_code", "0" * 32)
    assert len(server.requests) == 1


async def test_the_number_of_attempts_is_limited(server: Server, open_client: Open) -> None:
    server.answers = [problem(503, "data_unavailable", "0")]
    run = await open_client(server.url, limits=Limits(attempts=3))
    with pytest.raises(ReportingError, match="data_unavailable"):
        await run(SESSIONS.answer(REPORT))
    assert len(server.requests) == 3


async def test_a_pause_that_exceeds_the_time_is_not_begun(server: Server, open_client: Open) -> None:
    server.answers = [problem(429, "rate_limited", "3600")]
    run = await open_client(server.url, limits=Limits(seconds=60))
    began = monotonic()
    with pytest.raises(ReportingError, match="rate_limited"):
        await run(SESSIONS.answer(REPORT))
    assert monotonic() - began < 30
    assert len(server.requests) == 1


async def test_without_time_nothing_is_sent(server: Server, open_client: Open) -> None:
    server.answers = [whole]
    run = await open_client(server.url, limits=Limits(seconds=1e-9))
    with pytest.raises(ReportingError, match="did not respond: the time is over") as raised:
        await run(SESSIONS.answer(REPORT))
    assert (raised.value.code, server.requests) == ("no_response", [])


@pytest.mark.parametrize(
    "limits", [{"attempts": 0}, {"seconds": 0}, {"seconds": -1}, {"seconds": inf}, {"seconds": nan}]
)
def test_limits_that_allow_no_request_are_rejected(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Limits(**limits)


async def test_a_connection_that_fails_is_tried_again(open_client: Open) -> None:
    run = await open_client("http://127.0.0.1:1", limits=Limits(attempts=2))
    began = monotonic()
    with pytest.raises(ReportingError, match=r"The gateway at http://127\.0\.0\.1:1 did not respond") as raised:
        await run(SESSIONS.answer(REPORT))
    assert (raised.value.code, raised.value.status, raised.value.request_id) == ("no_response", None, None)
    assert monotonic() - began >= 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=200, text="<html>Sign in</html>", content_type="text/html"),
        lambda: web.json_response([]),
        lambda: web.Response(status=302, headers={"Location": "https://elsewhere.example/"}),
        lambda: web.Response(status=413, text="too large"),
    ],
)
async def test_a_response_of_another_server_is_an_error(
    server: Server, open_client: Open, answer: Callable[[], web.Response]
) -> None:
    server.answers = [answer]
    run = await open_client(server.url)
    for operation in (SESSIONS.answer(REPORT), SESSIONS.table(REPORT)):
        with pytest.raises(ReportingError) as raised:
            await run(operation)
        assert raised.value.code == "unexpected_response"
        assert raised.value.request_id is None
        assert server.url in raised.value.detail


@pytest.mark.parametrize("link", ["https://elsewhere.example/api/reporting/v1/orgs", "//elsewhere.example/", "/other"])
async def test_a_link_to_another_server_is_not_followed(server: Server, open_client: Open, link: str) -> None:
    server.answers = [lambda: web.json_response(ANSWER, headers={"Link": f'<{link}>; rel="next"'})]
    run = await open_client(server.url)
    with pytest.raises(ReportingError) as raised:
        await run(first_page(SESSIONS.answer(REPORT)))
    assert raised.value.code == "unexpected_response"


async def test_the_gateway_may_be_behind_a_path_and_is_told_how_long_the_client_waits(
    server: Server, open_client: Open
) -> None:
    server.answers = [whole]
    run = await open_client(f"{server.url}/reports/", "abc", scheme="Bearer", limits=Limits(seconds=30))
    await run(SESSIONS.answer(REPORT))
    [request] = server.requests
    assert request.path.startswith("/reports/api/reporting/v1/orgs/")
    assert request.headers["Authorization"] == "Bearer abc"
    name, _, seconds = request.headers["Prefer"].partition("=")
    assert name == "wait"
    assert 1 <= int(seconds) <= 30


async def test_a_connection_is_used_again(server: Server, open_client: Open) -> None:
    etag = {"ETag": '"1"'}
    server.answers = [
        lambda: web.json_response(ANSWER, headers=etag),
        lambda: web.Response(status=304, headers=etag),
        problem(503, "data_unavailable", "0"),
        lambda: web.Response(status=304, headers=etag),
    ]
    run = await open_client(server.url)
    for _ in range(3):
        assert (await run(SESSIONS.answer(REPORT))).data == [[7]]
    assert [each.headers.get("If-None-Match") for each in server.requests] == [None, '"1"', '"1"', '"1"']
    peers = {each.transport.get_extra_info("peername") for each in server.requests if each.transport}
    assert len(peers) == 1


def test_retry_after_can_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)
    pause = Attempts(Limits()).pause_after(Response(503, {"retry-after": later}, b""))
    assert pause is not None
    assert 1 < pause < 13
    past = Response(503, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"")
    assert Attempts(Limits()).pause_after(past) == 0


def test_without_retry_after_the_pauses_grow() -> None:
    for outcome in (Response(503, {}, b""), Response(503, {"retry-after": "soon"}, b""), NoResponse("closed")):
        attempts = Attempts(Limits(attempts=4))
        pauses = [attempts.pause_after(outcome) for _ in range(4)]
        assert pauses[3] is None
        for pause, base in zip(pauses[:3], (1, 2, 4), strict=True):
            assert pause is not None
            assert base <= pause <= base * 1.2


def test_the_stored_responses_are_limited_in_bytes() -> None:
    stored = StoredResponses(max_bytes=100)

    def put(target: str, size: int) -> None:
        stored.resolve(Request(target), None, Response(200, {"etag": '"1"'}, b"x" * size))

    def names() -> list[str]:
        return [name for name in "abcd" if stored.get(Request(name)) is not None]

    put("a", 40)
    put("b", 40)
    assert stored.get(Request("a")) is not None
    put("c", 40)
    # "b" was used least recently.
    assert names() == ["a", "c"]
    put("d", 101)
    assert names() == ["a", "c"]
    put("a", 60)
    assert names() == ["a", "c"]
    put("d", 100)
    assert names() == ["d"]
    stored.resolve(Request("a", b"body"), None, Response(200, {"etag": '"1"'}, b"x"))
    stored.resolve(Request("a"), None, Response(200, {}, b"x"))
    assert names() == ["d"]
