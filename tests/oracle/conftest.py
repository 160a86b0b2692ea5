import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.catalog.model import Dataset
from tests.conftest import Data
from tests.oracle import odd_rows
from tests.oracle.oracle import Oracle
from tests.serving import D, Gateway, P


@pytest.fixture(scope="session")
def proven(generated: Data, ingested: Callable[[str, Path], Dataset], tmp_path_factory: pytest.TempPathFactory) -> Data:
    """The realistic rows and some odd ones."""
    file = tmp_path_factory.mktemp("oracle") / "chat_sessions.jsonl"
    shutil.copyfile(generated.file, file)
    odd_rows.write(file, D, P)
    return Data(ingested("oracle", file), file, generated.organizations)


@pytest.fixture(scope="session")
def oracle(proven: Data) -> Oracle:
    return Oracle(proven.file)


@pytest.fixture(scope="session")
def gateways(gateway_for: Callable[..., Gateway], proven: Data) -> dict[str, Gateway]:
    """A gateway for each way to count uniques."""
    return {uniques: gateway_for(proven, uniques=uniques) for uniques in ("sketch", "metric")}
