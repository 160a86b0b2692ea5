import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from druid import checks
from druid.cluster import Cluster
from druid.errors import ClusterError, NotReadyError
from druid.services import MAX_PORT_OFFSET, Ports

# Below the range that Linux uses for outgoing connections, so that none of these ports is taken by chance.
PORTS = Ports.shifted(22000)


@pytest.fixture
def stopped(tmp_path: Path) -> Cluster:
    return Cluster(var=tmp_path / "var", ports=PORTS)


def problem_of_start(cluster: Cluster) -> str:
    with pytest.raises(NotReadyError) as refused:
        cluster.start()
    assert not cluster.is_running()
    return str(refused.value)


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\n', 17),
        ('openjdk version "11.0.27" 2025-04-15\n', 11),
        ('java version "1.8.0_442"\n', 8),
        ('openjdk version "21" 2023-09-19\n', 21),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "17-ea" 2021-09-14\n', 17),
        ("no java at all\n", None),
    ],
)
def test_every_form_of_a_java_version_is_parsed(output: str, version: int | None) -> None:
    assert checks.java_version(output) == version


def test_an_unsupported_java_is_reported_with_its_version(
    stopped: Cluster, fake_java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(fake_java), prepend=os.pathsep)
    problem = problem_of_start(stopped)
    assert f"{fake_java / 'java'} is Java 8; Druid 33 runs on Java 17 or 11" in problem
    assert "openjdk-17-jre-headless" in problem


def test_java_home_overrides_path(stopped: Cluster, fake_java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_java.parent
    fake_java.rename(home / "bin")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert f"{home / 'bin' / 'java'} is Java 8" in problem_of_start(stopped)


def test_a_java_home_without_java_is_reported(
    stopped: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    assert f"JAVA_HOME is {tmp_path / 'nowhere'}, where there is no bin/java" in problem_of_start(stopped)


def test_the_output_of_a_failing_java_is_shown(stopped: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-XX:+NoSuchOption")
    assert "NoSuchOption" in problem_of_start(stopped)


def test_missing_java_and_maven_are_reported_together(
    stopped: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = problem_of_start(replace(stopped, home=tmp_path / "no-jars"))
    assert "Java is missing" in problem
    assert "Maven is missing" in problem


def test_maven_is_not_needed_when_the_jars_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "jars"
    for folder in ("lib", "extensions/druid-datasketches", "extensions/druid-kafka-indexing-service"):
        (home / folder).mkdir(parents=True)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = problem_of_start(Cluster(var=tmp_path / "var", ports=PORTS, home=home))
    assert "Java is missing" in problem
    assert "Maven" not in problem


def test_a_used_port_is_reported_with_its_service(stopped: Cluster, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    problem = problem_of_start(replace(stopped, ports=replace(stopped.ports, broker=port)))
    assert f"Port {port} (broker) is taken" in problem
    assert "DRUID_PORT_OFFSET" in problem


def test_every_used_port_is_reported(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    problems = checks.port_problems(replace(PORTS, zookeeper=port, derby=port))
    assert [f"Port {port} ({name}" in problem for name, problem in zip(["zookeeper", "derby"], problems, strict=True)]


def test_too_little_memory_is_reported_with_numbers() -> None:
    assert checks.memory_problem(3 * checks.GIB) is None
    problem = checks.memory_problem(int(1.5 * checks.GIB))
    assert problem is not None
    assert "1.5 GiB are available, the cluster needs 3" in problem


def test_available_memory_is_read_if_the_system_reports_it(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    assert checks.memory_available(meminfo) is None
    meminfo.write_text("MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    2097152 kB\n")
    assert checks.memory_available(meminfo) == 2 * checks.GIB
    assert checks.memory_problem(None) is None


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    problem = problem_of_start(Cluster(var=tmp_path / ("x" * 90), ports=PORTS))
    assert "DRUID_VAR" in problem


@pytest.mark.parametrize("offset", ["-1", "ten", "1.5", str(MAX_PORT_OFFSET + 1)])
def test_an_invalid_port_offset_is_refused(offset: str) -> None:
    with pytest.raises(ClusterError, match=r"DRUID_PORT_OFFSET is .* not a number from 0 to"):
        Cluster.from_environment({"DRUID_PORT_OFFSET": offset})


def test_the_environment_sets_folders_and_ports(tmp_path: Path) -> None:
    cluster = Cluster.from_environment(
        {"DRUID_VAR": str(tmp_path), "DRUID_HOME": "/opt/druid", "DRUID_PORT_OFFSET": "100"}
    )
    assert (cluster.var, cluster.home) == (tmp_path, Path("/opt/druid"))
    assert cluster.broker_url == "http://127.0.0.1:8182"
    assert cluster.coordinator_url == "http://127.0.0.1:8181"
    assert Cluster.from_environment({}) == Cluster()
