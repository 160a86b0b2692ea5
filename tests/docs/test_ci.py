""".ci/run fails when it cannot test the compose stack, unless a variable allows it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

STEPS = ["check", "test", "load"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with .ci/run, and a PATH with a `make` that records its target and a `docker` without an engine."""
    (tmp_path / "checkout" / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / "checkout" / ".ci" / "run")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, script in {"make": f'echo "$1" >>{tmp_path}/steps', "docker": "exit 1"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    return tmp_path / "checkout"


def run(checkout: Path, **variables: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run .ci/run, and return its result and the steps that it ran."""
    path = f"{checkout.parent / 'programs'}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", ".ci/run"], cwd=checkout, env={"PATH": path, **variables}, capture_output=True, text=True, check=False
    )
    return result, (checkout.parent / "steps").read_text().split()


def test_without_a_docker_engine_ci_fails(checkout: Path) -> None:
    result, steps = run(checkout)
    assert result.returncode == 1
    assert "The docker-compose stack was not tested" in result.stderr
    assert steps == ["check", "test"]


def test_a_variable_allows_ci_without_a_docker_engine(checkout: Path) -> None:
    result, steps = run(checkout, CI_ALLOW_NO_DOCKER="1")
    assert result.returncode == 0
    assert "The docker-compose stack was not tested" in result.stderr
    assert steps == STEPS


def test_with_a_docker_engine_ci_tests_the_compose_stack(checkout: Path) -> None:
    (checkout.parent / "programs" / "docker").write_text("#!/bin/sh\n")
    result, steps = run(checkout)
    assert result.returncode == 0
    assert steps == ["check", "test", "compose-test", "load"]


def test_an_engine_from_the_script_next_to_the_checkout_is_used(checkout: Path) -> None:
    setup = checkout.parent / "shared" / "docker" / "setup"
    setup.parent.mkdir(parents=True)
    setup.write_text(f"#!/bin/sh\nsleep 0.5\nprintf '#!/bin/sh\\n' >{checkout.parent}/programs/docker\n")
    setup.chmod(0o755)
    result, steps = run(checkout)
    assert result.returncode == 0
    assert "compose-test" in steps


def test_a_failed_step_fails_ci(checkout: Path) -> None:
    (checkout.parent / "programs" / "make").write_text(f'#!/bin/sh\necho "$1" >>{checkout.parent}/steps\nexit 3\n')
    result, steps = run(checkout)
    assert result.returncode != 0
    assert steps == ["check"]
