"""Two data sets with ids of different forms in one gateway: who may ask for which, and what Druid and the log get."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.accounts.store import Accounts
from gateway.catalog.id_format import INTEGER
from gateway.catalog.model import Kind, TenantColumns
from tests.datasets import CHAT_SESSIONS
from tests.http.asking import COUNT, Client
from tests.http.stand_in import StandIn, respond
from tests.serving import D, serving, settings_for

ORDERS = replace(
    CHAT_SESSIONS,
    name="orders",
    data_source="orders",
    tenant=TenantColumns("owner_organization_id", "involved_organization_ids", Kind.LONG, INTEGER),
    dimensions=tuple(
        replace(each, kind=Kind.LONG) if each.name == "owner_organization_id" else each
        for each in CHAT_SESSIONS.dimensions
    ),
)


@pytest.fixture
async def client(tmp_path: Path, druid_stand_in: StandIn) -> AsyncIterator[Client]:
    settings = settings_for(tmp_path, druid_stand_in.url)
    druid_stand_in.datasets = (CHAT_SESSIONS, ORDERS)
    async with serving(settings, organizations=(D, "7", "8", "007"), datasets=(CHAT_SESSIONS, ORDERS)) as gateway:
        async with Accounts(settings) as accounts, accounts.administration() as administration:
            await administration.partnerships.create("7", "8")
            await administration.partnerships.create("7", "007")
            await administration.partnerships.create(D, "8")
        async with Client(gateway) as client:
            yield client


async def ask(client: Client, caller: str, organization: str, dataset: str = "orders", **more: Any) -> int:
    headers = {"Authorization": f"Token {client.gateway.tokens[caller]}"}
    answer = await client.send(
        "POST", client.gateway.path(organization, dataset), headers=headers, data=json.dumps(COUNT | more)
    )
    return answer.status


@pytest.mark.parametrize(
    ("caller", "organization", "dataset", "status"),
    [
        ("7", "7", "orders", 200),
        ("7", "8", "orders", 200),
        ("8", "7", "orders", 403),
        ("7", "007", "orders", 404),
        ("7", "07", "orders", 404),
        ("7", "%207", "orders", 404),
        ("7", "7.0", "orders", 404),
        ("007", "007", "orders", 404),
        ("007", "7", "orders", 403),
        ("7", D, "orders", 404),
        (D, D, "orders", 404),
        (D, "8", "orders", 403),
        ("7", "7", "chat_sessions", 404),
        (D, D, "chat_sessions", 200),
        (D, D.upper(), "chat_sessions", 200),
    ],
)
async def test_ids_have_the_form_of_the_data_set(  # noqa: PLR0917 - fixtures, and the columns of the table
    client: Client, druid_stand_in: StandIn, caller: str, organization: str, dataset: str, status: int
) -> None:
    assert await ask(client, caller, organization, dataset) == status
    assert len(druid_stand_in.queries) == (status == 200)


async def test_druid_gets_the_id_and_the_log_has_it(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = respond([[7, 3]])
    with capture_logs() as lines:
        assert await ask(client, "7", "8", group_by=["owner_organization_id"]) == 200
    [query] = druid_stand_in.queries
    assert query.query["filter"]["fields"] == [
        {"type": "selector", "dimension": "owner_organization_id", "value": "7"},
        {"type": "selector", "dimension": "involved_organization_ids", "value": "8"},
    ]
    assert any("aggregations" in line for line in lines)


@pytest.mark.parametrize("owner", [8, "7", 7.0, None])
async def test_a_row_of_another_number_is_never_returned(client: Client, druid_stand_in: StandIn, owner: Any) -> None:
    druid_stand_in.answer = respond([[7, 3], [owner, 1]])
    assert await ask(client, "7", "7", group_by=["owner_organization_id"]) == 500
