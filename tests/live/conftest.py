"""Fixtures of the tests of ingestion."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.ingest.clients import DruidUrls
from tests.conftest import Druid
from tests.live.ingestion import Table


@pytest.fixture
def cluster(druid: Druid) -> DruidUrls:
    return DruidUrls.parse(overlord=druid.coordinator_url, broker=druid.broker_url)


@pytest.fixture
async def table(cluster: DruidUrls) -> AsyncIterator[Table]:
    async with aiohttp.ClientSession() as session:
        table = Table(cluster, session)
        yield table
        url = cluster.overlord / f"druid/coordinator/v1/datasources/{table.name}"
        async with session.delete(url) as response:
            assert response.status in {200, 204}
