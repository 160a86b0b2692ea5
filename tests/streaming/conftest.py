"""A Druid cluster and a Kafka broker in which these tests may cause faults."""

import secrets
import shutil
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped] # it has no types

from druid.cluster import Cluster
from druid.errors import ClusterError
from druid.kafka.broker import Kafka
from druid.services import Ports
from tests.streaming.victim import PATIENCE, ROOT, Table, Victim

# Different from Druid's default ports and from those of other tests' clusters.
PORT_OFFSET = 15000


@pytest.fixture(scope="package")
def running() -> Iterator[Victim]:
    druid = Cluster(var=ROOT / "var" / "test-streaming", ports=Ports.shifted(PORT_OFFSET))
    kafka = Kafka.beside(druid)
    # Remove what an earlier run left behind, for example a killed one.
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
    """All services are healthy again, whatever the previous test did."""
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
        # The next test needs the task slots. The stream may not have been started, or may have been terminated.
        overlord = victim.urls.overlord / "druid/indexer/v1"
        async with session.post(f"{overlord}/supervisor/{table.name}/terminate", json={}) as response:
            assert response.status in {200, 404}
        async with session.post(f"{overlord}/datasources/{table.name}/shutdownAllTasks", json={}) as response:
            assert response.status in {200, 404}
