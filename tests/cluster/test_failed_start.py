"""What the commands print if a service of Druid ends while it starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from druid.cluster import ROOT, Cluster
from druid.services import Ports

PORT_OFFSET = 22500


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A cluster whose Java ends at once, with a word in square brackets, which rich would take for markup."""
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/bin/sh\n"
        'case "$*" in *-version) echo \'openjdk version "17.0.15"\' >&2; exit;; esac\n'
        "echo 'Cannot start: [/red] is no folder'; exit 1\n"
    )
    java.chmod(0o755)
    home = tmp_path / "jars"
    for folder in ("lib", "extensions/druid-datasketches", "extensions/druid-kafka-indexing-service"):
        (home / folder).mkdir(parents=True)
    folders = {"DRUID_VAR": str(tmp_path / "var"), "DRUID_HOME": str(home), "JAVA_HOME": str(tmp_path / "java")}
    return {**os.environ, **folders, "DRUID_PORT_OFFSET": str(PORT_OFFSET), "GATEWAY_PORT": "28999"}


@pytest.mark.parametrize("command", [["-m", "druid", "start"], ["demo.py"]])
def test_the_log_of_a_service_that_ends_is_shown(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert "Cannot start: [/red] is no folder" in output
    assert "ended while it started" in output
    assert "Traceback" not in output
    assert not Cluster(var=tmp_path / "var", ports=Ports.shifted(PORT_OFFSET)).is_running()
