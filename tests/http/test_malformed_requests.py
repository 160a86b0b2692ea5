"""Requests that violate HTTP, or use a part of it that the gateway does not support."""

import asyncio

import pytest
from structlog.testing import capture_logs

from tests.http import raw
from tests.http.asking import COUNT, Client, assert_problem
from tests.http.stand_in import StandIn
from tests.serving import D, P

UNKNOWN = f"gwt_aaaaaaaa_{'a' * 43}"
CONTINUE = "Expect: 100-continue"


@pytest.mark.parametrize("path", ["", "/healthz", "/nowhere"])
@pytest.mark.parametrize("token", [None, ""])
async def test_an_unsupported_expectation_is_417_everywhere(client: Client, path: str, token: str | None) -> None:
    request = raw.head(client, "Expect: foo", "Content-Length: 2", path=path, token=token) + b"{}"
    answer, closed = await raw.ask(client, request)
    assert_problem(answer, 417, "expectation_failed")
    assert closed


@pytest.mark.parametrize("path", ["", "/nowhere"])
async def test_an_unauthenticated_caller_is_not_told_to_continue(client: Client, path: str) -> None:
    request = raw.head(client, CONTINUE, "Content-Length: 2", path=path, token=UNKNOWN)
    answer, closed = await raw.ask(client, request)
    assert answer.status in {401, 404}
    assert closed


async def test_a_caller_with_too_large_a_body_is_not_told_to_continue(client: Client) -> None:
    size = client.gateway.settings.max_body_bytes + 1
    answer, _ = await raw.ask(client, raw.head(client, CONTINUE, f"Content-Length: {size}"))
    assert_problem(answer, 413, "request_entity_too_large")


async def test_an_authenticated_caller_is_told_to_continue(client: Client) -> None:
    body = raw.encoded(COUNT)
    async with raw.connected(client) as (reader, writer):
        for _ in range(2):
            writer.write(raw.head(client, CONTINUE, f"Content-Length: {len(body)}"))
            assert (await raw.read_answer(reader)).status == 100
            writer.write(body)
            assert (await raw.read_answer(reader)).status == 200


async def test_a_caller_that_leaves_before_it_is_told_to_continue_is_no_error(client: Client) -> None:
    with capture_logs() as lines:
        for _ in range(20):
            async with raw.connected(client) as (_, writer):
                writer.write(raw.head(client, CONTINUE, "Content-Length: 2") + b"{}")
                writer.write_eof()
        assert (await client.post()).status == 200
    assert "request_failed" not in [line["event"] for line in lines]


@pytest.mark.parametrize("coding", ["gzip, chunked", "identity, chunked", "chunked, chunked", "x, chunked"])
async def test_any_transfer_coding_but_chunked_is_refused(client: Client, coding: str) -> None:
    request = raw.head(client, f"Transfer-Encoding: {coding}") + b"2\r\n{}\r\n0\r\n\r\n"
    answer, closed = await raw.ask(client, request)
    assert answer.status in {400, 501}
    assert_problem(answer, answer.status, {400: "bad_request", 501: "not_implemented"}[answer.status])
    assert closed


async def test_transfer_codings_in_two_lines_are_refused_as_well(client: Client) -> None:
    request = raw.head(client, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    answer, closed = await raw.ask(client, request)
    assert answer.status in {400, 501}
    assert closed


@pytest.mark.parametrize("garbage", [b"NOT HTTP\r\n\r\n", b"\x00\x01", b"GET / HTTP/1.1\r\nBroken header\r\n\r\n"])
@pytest.mark.parametrize("valid", [1, 3])
async def test_a_malformed_pipelined_request_does_not_swallow_the_responses_before_it(
    client: Client, valid: int, garbage: bytes
) -> None:
    async with raw.connected(client) as (reader, writer):
        writer.write(raw.with_length(client, raw.encoded(COUNT)) * valid + garbage)
        for _ in range(valid):
            assert (await raw.read_answer(reader)).data
        assert_problem(await raw.read_answer(reader), 400, "bad_request")
        async with asyncio.timeout(10):
            assert await reader.read() == b""


@pytest.mark.parametrize("pause", [0.0, 0.1])
async def test_malformed_chunks_are_400_at_once(client: Client, druid_stand_in: StandIn, pause: float) -> None:
    async with raw.connected(client) as (reader, writer):
        writer.write(raw.head(client, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n")
        await asyncio.sleep(pause)
        writer.write(b"no size\r\n")
        async with asyncio.timeout(5):
            assert_problem(await raw.read_answer(reader), 400, "bad_request")
            assert await reader.read() == b""
    assert druid_stand_in.queries == []


@pytest.mark.parametrize("organization", [D, P])
async def test_an_organizations_id_may_be_in_upper_case(
    client: Client, druid_stand_in: StandIn, organization: str
) -> None:
    answer = await client.post(organization=organization.upper(), token=client.gateway.tokens[D])
    assert answer.status == 200, answer.body
    assert organization in str(druid_stand_in.queries[-1].query["filter"])
