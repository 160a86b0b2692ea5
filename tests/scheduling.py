"""How pytest-xdist divides the tests: those that share a service, for example one Druid, run in one worker.

pytest-xdist's own groups (`--dist loadgroup`) do not work with pytest 9.2, which ignores the names that they add.
"""

from collections.abc import Iterable

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

OWN_CLUSTERS = ("tests/streaming/", "tests/faults/", "tests/cluster/")
"""Folders whose tests start clusters of their own, the slowest first."""
SHARED_DRUID = (
    "tests/live/",
    "tests/oracle/",
    "tests/isolation/",
    "tests/contract/",
    "tests/fuzz/",
    "tests/docs/",
    "tests/http/",
    "tests/unit/druid/",
    "tests/unit/ingest/",
)
"""Folders whose tests use one Druid, the fixture `druid`."""
_SLOWEST_FIRST = (*OWN_CLUSTERS, *SHARED_DRUID)


class ByService(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """Gives a worker all tests that share a service; the others go by file to whichever worker is free."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(SHARED_DRUID):
            return "shared Druid"
        return next((folder for folder in OWN_CLUSTERS if nodeid.startswith(folder)), nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByService:
    """Start the groups in the order of the tests instead of the largest first: few tests can take long."""
    config.option.loadscopereorder = False
    return ByService(config, log)


def slowest_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests in the order in which their groups should start.

    Raises UsageError if a test uses the shared Druid, and its folder is not in `SHARED_DRUID`.
    """

    def place(item: pytest.Item) -> int:
        position = next((i for i, folder in enumerate(_SLOWEST_FIRST) if item.nodeid.startswith(folder)), None)
        if position is None and item.get_closest_marker("druid"):
            raise pytest.UsageError(f"{item.nodeid} uses the fixture druid: list its folder in tests/scheduling.py.")
        return len(_SLOWEST_FIRST) if position is None else position

    return sorted(items, key=place)
