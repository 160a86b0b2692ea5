"""Log lines: one JSON object each, which identify the request and contain no secret."""

import asyncio

from tests.http import stand_in
from tests.http.asking import COUNT
from tests.http.conftest import StartProcess
from tests.http.stand_in import StandIn
from tests.serving import D, T

VALUE = "a-filter-value-that-is-nobodys-business"
ASKED = COUNT | {"filters": {"type": "selector", "dimension": "user_id", "value": VALUE}}


async def test_a_report_is_logged_in_one_line(start_process: StartProcess, druid_stand_in: StandIn) -> None:
    async with start_process(druid_stand_in.url) as process:
        answer = await process.client.post(ASKED)
    [line] = [line for line in process.lines() if line["event"] == "request_finished"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["organization"], line["partner"], line["data_set"]) == (D, None, "chat_sessions")
    assert line["druid_query_id"] == druid_stand_in.queries[0].id
    assert (line["status"], line["code"], line["rows"]) == (200, None, 1)
    assert 0 < line["druid_ms"] <= line["ms"]
    assert line["timestamp"]


async def test_nothing_puts_a_secret_into_the_log(start_process: StartProcess, druid_stand_in: StandIn) -> None:
    async with start_process(druid_stand_in.url) as process:
        client = process.client
        tokens = client.gateway.tokens
        await client.post(ASKED)
        for answer in (stand_in.error(400), stand_in.error(500), stand_in.respond_with(b"[")):
            druid_stand_in.answer = answer
            await client.post(ASKED)
        await client.post(ASKED, organization=T, token=tokens[D])
        await client.post(ASKED | {"filters": {"type": "selector", "dimension": "scope", "value": VALUE}})
        await client.post(ASKED, token=tokens[D][:-1] + "!")
        # The library's own errors quote malformed requests.
        for header in (f"Authorization : Token {tokens[D]}", f"Authorization: Token {tokens[D]}\x01"):
            reader, writer = await asyncio.open_connection(
                *process.client.gateway.url.removeprefix("http://").split(":")
            )
            writer.write(f"POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
            assert b" 400 " in await reader.read()
            writer.close()
            await writer.wait_closed()
    assert len([line for line in process.lines() if line["event"] == "request_finished"]) == 7
    text = process.log.read_text()
    secrets = [VALUE, *tokens.values(), client.gateway.settings.token_secret.get_secret_value()]
    assert [secret for secret in secrets if secret in text] == []


async def test_concurrent_requests_do_not_mix_their_log_context(
    start_process: StartProcess, druid_stand_in: StandIn
) -> None:
    async with start_process(druid_stand_in.url) as process:
        asked = (D, T) * 10
        answers = await asyncio.gather(*(process.client.post(organization=each) for each in asked))
    lines = [line for line in process.lines() if line["event"] == "request_finished"]
    assert {line["request_id"]: line["organization"] for line in lines} == {
        answer.headers["x-request-id"]: who for answer, who in zip(answers, asked, strict=True)
    }
