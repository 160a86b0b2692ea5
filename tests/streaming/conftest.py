"""A Druid and a Kafka that these tests may hurt, and streams into data sources of their own."""

import secrets
import shutil
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped] # it ships no types

from druid.cluster import Cluster
from druid.errors import ClusterError
from druid.kafka.broker import Kafka
from druid.services import Ports
from tests.streaming.victim import PATIENCE, ROOT, Table, Victim

# Away from Druid's own ports, and from those of the other tests' clusters.
PORT_OFFSET = 15000


@pytest.fixture(scope="package")
def running() -> Iterator[Victim]:
    druid = Cluster(var=ROOT / "var" / "test-streaming", ports=Ports.shifted(PORT_OFFSET))
    kafka = Kafka.beside(druid)
    # What an earlier run left, perhaps one that was killed.
    kafka.stop()
    druid.stop()
    shutil.rmtree(druid.var)
    try:
        kafka.start(timeout=PATIENCE)
        druid.start(timeout=PATIENCE)
        yield Victim(druid, kafka)
    except ClusterError as error:
        pytest.exit(f"Druid or Kafka did not start. {error}", returncode=2)
    finally:
        druid.stop()
        kafka.stop()


@pytest.fixture
async def victim(running: Victim) -> Victim:
    """Well again, whatever the test before did to it."""
    await running.is_well()
    return running


@pytest.fixture
async def table(victim: Victim) -> AsyncIterator[Table]:
    producer = AIOKafkaProducer(bootstrap_servers=victim.kafka.bootstrap_servers)
    await producer.start()
    async with aiohttp.ClientSession() as session:
        table = Table(f"test_stream_{secrets.token_hex(4)}", victim, session, producer)
        yield table
        await producer.stop()
        # The next test needs the slots. A stream that was never started or is gone already is no matter.
        overlord = f"{victim.urls.overlord}/druid/indexer/v1"
        async with session.post(f"{overlord}/supervisor/{table.name}/terminate", json={}) as response:
            assert response.status in {200, 404}
        async with session.post(f"{overlord}/datasources/{table.name}/shutdownAllTasks", json={}) as response:
            assert response.status in {200, 404}
