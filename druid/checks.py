"""Checks before a start. Each returns a sentence that describes a problem, or None."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from druid import jars
from druid.config import Layout
from druid.errors import ClusterError, NotReadyError
from druid.services import Ports

# https://druid.apache.org/docs/33.0.0/operations/java/
JAVA_VERSIONS = (11, 17)
GIB = 1024**3
# The resident memory of five JVMs during an ingestion.
MEMORY_NEEDED = 3 * GIB
# The address of a Unix socket has at most 107 bytes. supervisord temporarily appends its pid to the path.
SOCKET_PATH_BYTES = 96


def preflight(environment: Mapping[str, str], ports: Ports, layout: Layout) -> Path:
    """Return the Java executable. Raises NotReadyError with all problems at once."""
    problems: list[str | None] = []
    java = None
    try:
        java = find_java(environment)
    except ClusterError as error:
        problems.append(str(error))
    if not jars.are_there(layout.home):
        problems.append(maven_problem(environment))
    problems += [memory_problem(memory_available()), path_problem(layout.socket), *port_problems(ports)]
    found = tuple(problem for problem in problems if problem is not None)
    if java is None or found:
        raise NotReadyError(found)
    return java


def java_version(output: str) -> int | None:
    """Return the feature release in the output of `java -version`: 17 in `"17.0.15"`, 8 in `"1.8.0_442"`."""
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found[1]) if found else None


def find_java(environment: Mapping[str, str]) -> Path:
    """Return the `java` of JAVA_HOME or, without it, the first on PATH, if Druid supports its version.

    Raises ClusterError otherwise.
    """
    remedy = "Install a Java 17 runtime (Debian, Ubuntu: openjdk-17-jre-headless), and set JAVA_HOME to it."
    home = environment.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if not os.access(java, os.X_OK):
            raise ClusterError(f"JAVA_HOME is {home}, where there is no bin/java. {remedy}")
    else:
        on_path = shutil.which("java", path=environment.get("PATH", ""))
        if on_path is None:
            raise ClusterError(f"Java is missing: JAVA_HOME is not set and no java is on PATH. {remedy}")
        java = Path(on_path)
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"{java} does not run ({error}). {remedy}") from error
    said = answer.stderr + answer.stdout
    if answer.returncode != 0:
        raise ClusterError(f"{java} does not run; its output: {said.strip()}\n{remedy}")
    version = java_version(said)
    if version in JAVA_VERSIONS:
        return java
    found = "of an unknown version" if version is None else f"Java {version}"
    raise ClusterError(f"{java} is {found}; Druid 33 runs on Java 17 or 11. {remedy}")


def maven_problem(environment: Mapping[str, str]) -> str | None:
    if shutil.which("mvn", path=environment.get("PATH", "")):
        return None
    return (
        "Maven is missing: the jars must be downloaded, and no mvn is on PATH. "
        "Install it (Debian, Ubuntu: apt install maven), or set DRUID_HOME to a folder that has the jars."
    )


def memory_available(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes available without swapping, or None if the system does not report them."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def memory_problem(available: int | None) -> str | None:
    if available is None or available >= MEMORY_NEEDED:
        return None
    return (
        f"Too little memory: {available / GIB:.1f} GiB are available, the cluster needs {MEMORY_NEEDED / GIB:.0f}. "
        "Stop other programs, or add memory."
    )


def port_problems(ports: Ports) -> tuple[str, ...]:
    return problems_of(ports.named())


def problems_of(ports: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Return a sentence for each port, given with the name of its service, that another program uses."""
    return tuple(
        f"Port {port} ({name}) is taken by another program (`ss -ltnp 'sport = :{port}'` names it). "
        "End it, or shift all of the cluster's ports: DRUID_PORT_OFFSET=10000."
        for name, port in ports
        if _is_taken(port)
    )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # Like Java's servers: recently closed connections do not block the port, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def path_problem(socket_path: Path) -> str | None:
    if len(os.fsencode(socket_path)) <= SOCKET_PATH_BYTES:
        return None
    return f"{socket_path} is too long for a Unix socket. Set DRUID_VAR to a folder with a shorter path."
