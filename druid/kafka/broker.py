"""Start and stop one Kafka node under its own supervisord, independent of Druid's cluster."""

import base64
import collections
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from druid import checks, jars
from druid.cluster import Cluster
from druid.errors import ClusterError, NotReadyError
from druid.processes import Supervisord

VERSION = "3.9.1"
HERE = Path(__file__).parent
START_SECONDS = 60.0
STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Kafka:
    """A node at 127.0.0.1. Its state is in the processes and files of `var`, and not in this object.

    var: absolute folder of its own for data, log and generated files. home: absolute path of the folder of the jars.
    """

    var: Path
    port: int
    controller_port: int
    home: Path

    @classmethod
    def beside(cls, cluster: Cluster) -> Self:
        """Return the node whose data is in the cluster's folder, because Druid's stream offsets need the topics."""
        ports = cluster.ports
        return cls(cluster.var / "kafka", ports.kafka, ports.kafka_controller, cluster.home.parent / f"kafka-{VERSION}")

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.var / "kafka.log"

    def is_running(self) -> bool:
        return self._supervisord.is_alive()

    def is_healthy(self) -> bool:
        """Return whether Kafka accepts clients, which is the last step of its start."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return self.is_running()

    def start(self, *, timeout: float = START_SECONDS, say: Callable[[str], None] = lambda _: None) -> bool:
        """Return when Kafka accepts clients: True if this call started it. Raises ClusterError after stopping it."""
        if started := not self.is_running():
            java = self._preflight()
            self._fetch(say)
            self._launch(java)
        deadline = time.monotonic() + timeout
        while not self.is_healthy():
            if time.monotonic() > deadline or not self.is_running():
                self.stop()
                raise ClusterError(f"Kafka is not ready after {timeout:.0f} s. Its last output:\n{self._last_words()}")
            time.sleep(0.1)
        return started

    def stop(self) -> bool:
        """Stop Kafka; the data stays. Returns False if nothing was running."""
        if not self.is_running():
            return False
        self._supervisord.shut_down()
        deadline = time.monotonic() + STOP_SECONDS + 10
        while self.is_running() or self._pid.exists():
            if time.monotonic() > deadline:
                raise ClusterError(f"Kafka has not ended; {self.var / 'supervisord.log'} says why.")
            time.sleep(0.1)
        return True

    @property
    def _supervisord(self) -> Supervisord:
        return Supervisord(self.var / "supervisord.sock")

    @property
    def _pid(self) -> Path:
        return self.var / "supervisord.pid"

    @property
    def _properties(self) -> Path:
        return self.var / "server.properties"

    def _preflight(self) -> Path:
        environment = os.environ
        problems: list[str | None] = []
        java = None
        try:
            java = checks.find_java(environment)
        except ClusterError as error:
            problems.append(str(error))
        if not self._has_jars():
            problems.append(checks.maven_problem(environment))
        problems.append(checks.path_problem(self._supervisord.socket))
        problems += checks.problems_of((("kafka", self.port), ("kafka's controller", self.controller_port)))
        found = tuple(problem for problem in problems if problem is not None)
        if java is None or found:
            raise NotReadyError(found)
        return java

    def _has_jars(self) -> bool:
        return (self.home / "libs").is_dir()

    def _fetch(self, say: Callable[[str], None]) -> None:
        """Download the jars. The folder is created by a rename, so it is always complete."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        with jars.alone(self.home.parent / f".{self.home.name}.lock", say):
            if self._has_jars():
                return
            partial = self.home.parent / f".{self.home.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            say(f"Kafka {VERSION}: its jars")
            jars.copy_dependencies(HERE / "pom.xml", partial / "libs", (), say)
            partial.rename(self.home)

    def _launch(self, java: Path) -> None:
        self.var.mkdir(parents=True, exist_ok=True)
        # Left behind by a killed process.
        self._supervisord.socket.unlink(missing_ok=True)
        self._pid.unlink(missing_ok=True)
        shared = (HERE / "server.properties").read_text()
        self._properties.write_text(shared + server_properties(self))
        if not (self.var / "data" / "meta.properties").exists():
            self._format(java)
        setpriv = shutil.which("setpriv")
        tether = (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
        conf = self.var / "supervisord.conf"
        conf.write_text(supervisord_conf(self, (*tether, *self._command(java), "kafka.Kafka", str(self._properties))))
        launched = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", conf], capture_output=True, text=True, check=False
        )
        if launched.returncode != 0:
            raise ClusterError(f"supervisord did not start: {launched.stderr or launched.stdout}")

    def _format(self, java: Path) -> None:
        # Kafka's form of a UUID. It must not start with `-` like an option.
        cluster_id = "-"
        while cluster_id.startswith("-"):
            cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formatted = subprocess.run(
            [
                *(*self._command(java), "kafka.tools.StorageTool"),
                *("format", "-c", str(self._properties), "-t", cluster_id),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode != 0:
            raise ClusterError(f"Kafka's folder could not be created: {formatted.stderr or formatted.stdout}")

    def _command(self, java: Path) -> tuple[str, ...]:
        log4j = f"-Dlog4j.configuration=file:{HERE / 'log4j.properties'}"
        return (str(java), f"@{HERE / 'jvm.args'}", log4j, "-cp", f"{self.home / 'libs'}/*")

    def _last_words(self) -> str:
        try:
            with self.log.open(errors="replace") as log:
                return "".join(collections.deque(log, maxlen=20))
        except FileNotFoundError:
            return ""


def server_properties(kafka: Kafka) -> str:
    listeners = f"PLAINTEXT://127.0.0.1:{kafka.port},CONTROLLER://127.0.0.1:{kafka.controller_port}"
    return (
        f"\nlog.dirs={kafka.var / 'data'}\n"
        f"controller.quorum.voters=1@127.0.0.1:{kafka.controller_port}\n"
        f"listeners={listeners}\n"
    )


def supervisord_conf(kafka: Kafka, command: tuple[str, ...]) -> str:
    def escaped(value: object) -> str:
        # supervisord expands %(name)s.
        return str(value).replace("%", "%%")

    return f"""\
[supervisord]
directory={escaped(kafka.var)}
pidfile={escaped(kafka.var / "supervisord.pid")}
logfile={escaped(kafka.var / "supervisord.log")}
logfile_maxbytes=1MB
logfile_backups=1

[unix_http_server]
file={escaped(kafka.var / "supervisord.sock")}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[program:kafka]
command={escaped(shlex.join(command))}
autorestart=true
startsecs=5
stopsignal=TERM
stopwaitsecs={STOP_SECONDS}
redirect_stderr=true
stdout_logfile={escaped(kafka.log)}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=1
"""
