import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from druid.cluster import Cluster
from druid.services import Ports

# Different from Druid's default ports, which a developer's cluster may use.
PORT_OFFSET = 12000


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A separate cluster. A test that needs it running starts it; this is cheap if it is already running."""
    cluster = Cluster(var=tmp_path_factory.mktemp("druid"), ports=Ports.shifted(PORT_OFFSET))
    yield cluster
    cluster.stop()


@pytest.fixture
def running(cluster: Cluster) -> Cluster:
    cluster.start()
    return cluster


@pytest.fixture
def fake_java(tmp_path: Path) -> Path:
    """A folder for PATH whose `java -version` reports Java 8."""
    folder = tmp_path / "java8"
    folder.mkdir()
    java = folder / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_442\"' >&2\n")
    java.chmod(0o755)
    return folder


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket on a free port of 127.0.0.1, like that of another program."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server
