import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from druid.cluster import Cluster
from druid.services import Ports

# Far from Druid's own ports, where a developer's cluster may run.
PORT_OFFSET = 12000


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of these tests' own; a test that wants it up starts it, which costs nothing when it is."""
    cluster = Cluster(var=tmp_path_factory.mktemp("druid"), ports=Ports.shifted(PORT_OFFSET))
    yield cluster
    cluster.stop()


@pytest.fixture
def running(cluster: Cluster) -> Cluster:
    cluster.start()
    return cluster


@pytest.fixture
def fake_java(tmp_path: Path) -> Path:
    """A folder for PATH whose `java -version` says that it is Java 8."""
    folder = tmp_path / "java8"
    folder.mkdir()
    java = folder / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_442\"' >&2\n")
    java.chmod(0o755)
    return folder


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Another program's socket, listening on 127.0.0.1 at a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server
