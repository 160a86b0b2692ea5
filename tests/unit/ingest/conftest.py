from collections.abc import Iterator

import pytest

from tests.unit.ingest.stand_in import StandIn


@pytest.fixture
def druid() -> Iterator[StandIn]:
    with StandIn().running() as druid:
        yield druid
