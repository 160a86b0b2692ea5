"""One deadline applies to everything that a request waits for, here the account database, which does not respond."""

import json
from collections.abc import Iterator

import asyncpg  # type: ignore[import-untyped] # it ships no types
import pytest
from pydantic import SecretStr

from tests import postgresql
from tests.http.asking import COUNT, Client, assert_problem
from tests.http.conftest import Start
from tests.http.stand_in import StandIn
from tests.postgresql import PostgreSql
from tests.serving import Answer, D


@pytest.fixture
def server() -> Iterator[PostgreSql]:
    with postgresql.running() as server:
        yield server


async def _ask(client: Client, **headers: str) -> Answer:
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}", **headers}
    return await client.send("POST", client.gateway.path(D), headers=headers, data=json.dumps(COUNT))


async def test_the_deadline_applies_to_the_account_database(
    start: Start, druid_stand_in: StandIn, server: PostgreSql
) -> None:
    url = server.url("postgres")
    client = await start(druid_stand_in.url, database_url=SecretStr(url))
    holding = await asyncpg.connect(url)
    try:
        async with holding.transaction():
            await holding.execute("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE")
            assert_problem(await _ask(client, Prefer="wait=1"), 504, "timeout")
            assert_problem(await _ask(client), 503, "accounts_unavailable")
    finally:
        await holding.close()
    assert (await _ask(client)).status == 200
    assert len(druid_stand_in.queries) == 1
