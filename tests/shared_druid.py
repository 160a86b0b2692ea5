"""One Druid for all workers of a test run: the first one that needs it starts it, and the end of the run stops it."""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from druid.cluster import Cluster
from druid.services import Ports

_VAR = Path(__file__).parent.parent / "var"
# Different from Druid's default ports, and from those of the folders whose tests start their own cluster.
_CLUSTER = Cluster(var=_VAR / "test-druid", ports=Ports.shifted(20000))
_STARTED_BY = _VAR / "test-druid.run"
"""Names the run that started the cluster; absent if none did."""
_RUN = "TEST_RUN_ID"
"""The environment variable with the name of this run. Its workers inherit it."""


def pytest_configure() -> None:
    os.environ.setdefault(_RUN, uuid.uuid4().hex)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the cluster at the end of the run: after its workers, if there are any."""
    if not hasattr(session.config, "workerinput") and _is_started():
        _STARTED_BY.unlink()
        _CLUSTER.stop()


def started() -> Cluster:
    """Return the cluster, and start it if no worker of this run has. Raises ClusterError."""
    with _locked():
        if not _is_started():
            # Remove what an earlier run left behind, for example a killed one.
            _CLUSTER.stop()
            shutil.rmtree(_CLUSTER.var)
            _CLUSTER.start()
            _STARTED_BY.write_text(os.environ[_RUN])
    return _CLUSTER


def _is_started() -> bool:
    return _STARTED_BY.exists() and _STARTED_BY.read_text() == os.environ[_RUN]


@contextmanager
def _locked() -> Iterator[None]:
    _VAR.mkdir(exist_ok=True)
    with (_VAR / "test-druid.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
