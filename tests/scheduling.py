"""How pytest-xdist divides the tests: by file, except that those of one cluster of their own run in one worker.

pytest-xdist's own groups (`--dist loadgroup`) do not work with pytest 9.2, which ignores the names that they add.
"""

from collections.abc import Iterable

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

OWN_CLUSTERS = ("tests/streaming/", "tests/faults/", "tests/cluster/")
"""Folders whose tests start clusters of their own."""
_SLOWEST_FIRST = (*OWN_CLUSTERS, "tests/oracle/", "tests/live/", "tests/isolation/", "tests/http/")


class ByService(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """Gives one worker all tests that share a cluster of their own; the others go by file to the next free worker."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in OWN_CLUSTERS if nodeid.startswith(folder)), nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByService:
    """Start the groups in the order of the tests instead of the largest first: few tests can take long."""
    config.option.loadscopereorder = False
    return ByService(config, log)


def slowest_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests in the order in which their groups should start."""

    def place(item: pytest.Item) -> int:
        folders = enumerate(_SLOWEST_FIRST)
        return next((position for position, folder in folders if item.nodeid.startswith(folder)), len(_SLOWEST_FIRST))

    return sorted(items, key=place)
