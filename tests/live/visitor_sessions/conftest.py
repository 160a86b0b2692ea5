"""Fixtures of the tests of visitor sessions: generated rows in a new data source, and gateways that serve them."""

import asyncio
import json
import secrets
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.catalog.model import Dataset
from gateway.ingest import DruidUrls, ingest, parse
from tests.conftest import SPECS, Druid
from tests.datasets import DATASETS, VISITOR_SESSIONS
from tests.live.visitor_sessions.asking import Row
from tests.serving import Gateway, serving_aside, settings_for


@pytest.fixture(scope="package")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("visitor_sessions") / "rows.jsonl"
    program = SPECS / "samples" / "visitor_sessions.py"
    arguments = ("--sessions", "8000", "--organizations", "6", "--out", made)
    subprocess.run([sys.executable, program, *arguments], check=True, capture_output=True)
    return made


@pytest.fixture(scope="package")
def rows(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="package")
def dataset(druid: Druid, file: Path) -> Iterator[Dataset]:
    """The catalog's data set on a new data source with the rows of the file."""
    spec = parse("visitor_sessions.json", (SPECS / "visitor_sessions.json").read_text(), DATASETS, brings_files=True)
    cluster = DruidUrls.parse(overlord=druid.coordinator_url, broker=druid.broker_url)
    data_source = f"test_visitor_sessions_{secrets.token_hex(4)}"
    asyncio.run(ingest(spec, cluster, files=[file], data_source=data_source))
    yield replace(VISITOR_SESSIONS, data_source=data_source)
    url = f"{druid.coordinator_url}/druid/coordinator/v1/datasources/{data_source}"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()


@pytest.fixture(scope="package")
def organizations(rows: list[Row]) -> list[str]:
    """The organizations, the largest first."""
    return [owner for owner, _ in Counter(row["owner_organization_id"] for row in rows).most_common()]


@pytest.fixture(scope="package")
def serve(
    druid: Druid, organizations: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Gateway]]:
    with ExitStack() as stack:

        def start(*datasets: Dataset, **changes: Any) -> Gateway:
            settings = settings_for(tmp_path_factory.mktemp("accounts"), druid.broker_url, **changes)
            return stack.enter_context(serving_aside(settings, organizations=organizations, datasets=datasets))

        yield start


@pytest.fixture(scope="package")
def served(serve: Callable[..., Gateway], dataset: Dataset) -> Gateway:
    return serve(dataset)
