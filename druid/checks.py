"""What has to be true before anything starts. Each check gives one sentence for what is not, or None."""

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
# Five JVMs, resident, while data is ingested.
MEMORY_NEEDED = 3 * GIB
# A Unix socket's address holds 107 bytes, and supervisord adds its pid while it makes one.
SOCKET_PATH_BYTES = 96


def preflight(environment: Mapping[str, str], ports: Ports, layout: Layout) -> Path:
    """The java to start with. Raises NotReadyError with everything that is in the way, all at once."""
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
    """The feature release in what `java -version` prints: 17 in `"17.0.15"`, 8 in `"1.8.0_442"`."""
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found[1]) if found else None


def find_java(environment: Mapping[str, str]) -> Path:
    """The `java` of JAVA_HOME, or else the first on PATH, when it is one that Druid runs on.

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
        raise ClusterError(f"{java} does not run; it said: {said.strip()}\n{remedy}")
    version = java_version(said)
    if version in JAVA_VERSIONS:
        return java
    found = "of an unknown version" if version is None else f"Java {version}"
    raise ClusterError(f"{java} is {found}; Druid 33 runs on Java 17 or 11. {remedy}")


def maven_problem(environment: Mapping[str, str]) -> str | None:
    if shutil.which("mvn", path=environment.get("PATH", "")):
        return None
    return (
        "Maven is missing: the jars are still to be fetched, and no mvn is on PATH. "
        "Install it (Debian, Ubuntu: apt install maven), or set DRUID_HOME to a folder that has the jars."
    )


def memory_available(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes that can be had without swapping, or None where the system does not tell."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def memory_problem(available: int | None) -> str | None:
    if available is None or available >= MEMORY_NEEDED:
        return None
    return (
        f"Too little memory: {available / GIB:.1f} GiB can be had, the cluster needs {MEMORY_NEEDED / GIB:.0f}. "
        "End other programs, or give this machine more."
    )


def port_problems(ports: Ports) -> tuple[str, ...]:
    return problems_of(ports.named())


def problems_of(ports: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """A sentence for each port, named by what is to listen on it, that another program has."""
    return tuple(
        f"Port {port} ({name}) is taken by another program (`ss -ltnp 'sport = :{port}'` names it). "
        "End it, or shift all of the cluster's ports: DRUID_PORT_OFFSET=10000."
        for name, port in ports
        if _is_taken(port)
    )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As Java's servers do it: connections that have just ended do not count, a listener does.
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
