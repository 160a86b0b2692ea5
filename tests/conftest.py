"""Fixtures for all tests: a real Druid, data in it, and the real gateway in front of it.

By default the tests start their own Druid and stop it at the end. While developing it is quicker to keep one running:
`python -m druid start`, then `eval "$(python -m druid env)"`. Data sources then get unique names, and are marked unused
at the end.

`make test` uses pytest-xdist (`tests/scheduling.py`); all workers share one Druid (`tests/shared_druid.py`).
"""

import asyncio
import importlib.util
import os
import secrets
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from druid.errors import ClusterError
from gateway import ingest
from gateway.catalog.model import Dataset
from tests import shared_druid
from tests.datasets import CHAT_SESSIONS, DATASETS
from tests.scheduling import pytest_xdist_make_scheduler, slowest_first  # noqa: F401 - the first is a hook
from tests.serving import D, Gateway, P, T, serving_aside, settings_for
from tests.shared_druid import pytest_configure, pytest_sessionfinish  # noqa: F401 - hooks
from tests.watch import nothing_secret_is_logged  # noqa: F401 - watches over every run

ROOT = Path(__file__).parent.parent
SPECS = ROOT / "ingestion-specs"
SAMPLES = SPECS / "samples"

# A shell lets its background jobs ignore SIGINT, and the programs that tests interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

GENERATED_SESSIONS = 4000
GENERATED_ORGANIZATIONS = 6
SEED = 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the services that it needs, and start the slowest groups of tests first."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "druid" in fixtures:
            item.add_marker(pytest.mark.druid)
        if fixtures & {"postgresql", "own_postgresql"}:
            item.add_marker(pytest.mark.postgresql)
    items[:] = slowest_first(items)


@dataclass(frozen=True, slots=True)
class Druid:
    """A running Druid. Its coordinator is also the overlord."""

    broker_url: str
    coordinator_url: str


@dataclass(frozen=True, slots=True)
class Data:
    """Rows that Druid serves. `file` contains the ingested rows as JSON lines."""

    dataset: Dataset
    file: Path
    organizations: tuple[str, ...]


@pytest.fixture(scope="session")
def druid() -> Druid:
    broker, coordinator = (os.environ.get(name) for name in ("DRUID_BROKER_URL", "DRUID_COORDINATOR_URL"))
    if broker and coordinator:
        return Druid(broker, coordinator)
    if broker or coordinator:
        pytest.exit('Set both DRUID_BROKER_URL and DRUID_COORDINATOR_URL: eval "$(python -m druid env)"', returncode=2)
    try:
        cluster = shared_druid.started()
    except ClusterError as error:
        pytest.fail(f"Druid did not start. {error}", pytrace=False)
    return Druid(cluster.broker_url, cluster.coordinator_url)


@pytest.fixture(scope="session")
def ingested(druid: Druid) -> Iterator[Callable[..., Dataset]]:
    """Ingest a file of chat sessions into a new data source, and return the data set that reads it."""
    text = (SPECS / "chat_sessions.json").read_text()
    cluster = ingest.DruidUrls.parse(overlord=druid.coordinator_url, broker=druid.broker_url)
    made = []

    def fill(purpose: str, file: Path, intervals: str = "2018-12-01/2020-02-01", segments: str = "month") -> Dataset:
        wanted = text.replace("2018-12-01/2020-02-01", intervals)
        wanted = wanted.replace('"segmentGranularity": "month"', f'"segmentGranularity": "{segments}"')
        spec = ingest.parse("chat_sessions.json", wanted, DATASETS, brings_files=True)
        data_source = f"test_{purpose}_{secrets.token_hex(4)}"
        made.append(data_source)
        asyncio.run(ingest.ingest(spec, cluster, files=[file], data_source=data_source))
        return replace(CHAT_SESSIONS, data_source=data_source)

    yield fill
    for data_source in made:
        url = f"{druid.coordinator_url}/druid/coordinator/v1/datasources/{data_source}"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()


@pytest.fixture(scope="session")
def hand_counted(ingested: Callable[[str, Path], Dataset]) -> Data:
    """The 33 rows that ingestion-specs/samples/README.md counts."""
    file = SAMPLES / "hand_counted.jsonl"
    return Data(ingested("hand_counted", file), file, (D, P, T))


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    """The program that generates realistic sample data: ingestion-specs/samples/chat_sessions.py."""
    return load_program("sample_chat_sessions", SAMPLES / "chat_sessions.py")


@pytest.fixture(scope="session")
def generated(
    ingested: Callable[[str, Path], Dataset], generator: Any, tmp_path_factory: pytest.TempPathFactory
) -> Data:
    """About 12,000 rows of realistic sessions, the same in every run."""
    owners = generator.organizations(GENERATED_ORGANIZATIONS, SEED)
    file = tmp_path_factory.mktemp("generated") / "chat_sessions.jsonl"
    with file.open("w", encoding="utf-8") as out:
        generator.write(generator.sessions(GENERATED_SESSIONS, owners, SEED), out)
    return Data(ingested("generated", file), file, tuple(owner.organization_id for owner in owners))


@pytest.fixture(scope="session")
def gateway_for(druid: Druid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway that serves this data, in a thread of its own, until the end of the run.

    Each of the data's organizations has a token; D is a partner of P.
    """
    with ExitStack() as stack:

        def start(data: Data, **changes: Any) -> Gateway:
            given = {"druid_coordinator_url": druid.coordinator_url, **changes}
            settings = settings_for(tmp_path_factory.mktemp("accounts"), druid.broker_url, **given)
            return stack.enter_context(
                serving_aside(settings, organizations=data.organizations, datasets=[data.dataset])
            )

        yield start


@pytest.fixture(scope="session")
def hand_counted_gateway(gateway_for: Callable[[Data], Gateway], hand_counted: Data) -> Gateway:
    return gateway_for(hand_counted)


@pytest.fixture(scope="session")
def generated_gateway(gateway_for: Callable[[Data], Gateway], generated: Data) -> Gateway:
    return gateway_for(generated)


def load_program(name: str, path: Path) -> ModuleType:
    """Import a file that is no module of a package. While it is imported, its folder comes first in `sys.path`."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up there.
    sys.modules[name] = module
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        spec.loader.exec_module(module)
    return module
