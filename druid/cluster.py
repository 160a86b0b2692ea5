"""Start, watch and stop one cluster."""

import collections
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from druid import checks, config, jars
from druid.errors import ClusterError, NotServedError, ServiceFailedError, ShuttingDownError
from druid.health import is_healthy
from druid.processes import NOT_RUNNING, Supervisord
from druid.served import segments_unserved
from druid.services import MAX_PORT_OFFSET, USUAL_PORTS, Ports, Service
from druid.watch import SILENCE, Observer, ServiceStatus

ROOT = Path(__file__).parent.parent
START_SECONDS = 300.0
# supervisord stops its two groups one after the other, and then itself.
STOP_SECONDS = 2 * config.STOP_SECONDS + 10
POLL_SECONDS = 0.2
LOG_LINES = 40


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster on this machine. Its state is in the processes and files of `var`, and not in this object.

    var: absolute path of the folder for data, logs and generated files.
    home: absolute path of the folder of the jars; clusters can share it.
    """

    var: Path = ROOT / "var" / "druid"
    ports: Ports = USUAL_PORTS
    home: Path = ROOT / "var" / f"druid-{jars.VERSION}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read DRUID_VAR, DRUID_HOME (relative to the working directory) and DRUID_PORT_OFFSET."""
        default = cls()
        offset = environment.get("DRUID_PORT_OFFSET") or "0"
        if not (offset.isdecimal() and int(offset) <= MAX_PORT_OFFSET):
            raise ClusterError(f"DRUID_PORT_OFFSET is {offset!r}, not a number from 0 to {MAX_PORT_OFFSET}.")
        return cls(
            var=Path(environment.get("DRUID_VAR") or default.var).absolute(),
            ports=Ports.shifted(int(offset)),
            home=Path(environment.get("DRUID_HOME") or default.home).absolute(),
        )

    @property
    def broker_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.broker}"

    @property
    def coordinator_url(self) -> str:
        """The coordinator is also the overlord, which accepts ingestion tasks."""
        return f"http://127.0.0.1:{self.ports.coordinator}"

    @property
    def layout(self) -> config.Layout:
        return config.Layout(var=self.var, home=self.home)

    def is_running(self) -> bool:
        """Return whether a supervisord runs on `var`, regardless of its services' health."""
        return self._supervisord.is_alive()

    def status(self) -> tuple[ServiceStatus, ...]:
        """Return the status of every service, in the order of Service.

        Raises ClusterError when the cluster runs on other ports, or is stopping.
        """
        if self.is_running():
            self._check_same_ports()
        return tuple(
            replace(status, healthy=status.pid is not None and is_healthy(status.service, self.ports))
            for status in self._processes()
        )

    def pid(self, service: Service) -> int | None:
        """Return the pid of a service, or None. This sends no request to a service, which may be frozen."""
        [pid] = [status.pid for status in self._processes() if status.service is service]
        return pid

    def start(self, *, timeout: float = START_SECONDS, observer: Observer = SILENCE) -> bool:
        """Return when every service is healthy and all stored data is served.

        Returns True if this call started the services, and False if they were already running. Raises NotReadyError
        before anything starts. Raises ServiceFailedError if a service ends, or is not healthy after `timeout` seconds,
        and stops what it started. Raises NotServedError, without stopping anything, if data is still not served then.
        """
        with self._alone():
            if self.is_running():
                self._check_same_ports()
                self._wait_until_healthy(timeout, observer, fatal=frozenset({"FATAL"}))
                self._wait_until_served(timeout, observer)
                return False
            java = checks.preflight(os.environ, self.ports, self.layout)
            if not jars.are_there(self.home):
                jars.fetch(self.home, observer.say)
            try:
                self._launch(java)
                # A service that ends during its start would end again, so fail without waiting for more attempts.
                self._wait_until_healthy(timeout, observer, fatal=frozenset({"FATAL", "BACKOFF", "EXITED"}))
            except BaseException:
                self._stop(observer)
                raise
            self._wait_until_served(timeout, observer)
            return True

    def stop(self, *, observer: Observer = SILENCE) -> bool:
        """Stop every service, ZooKeeper last, and wait. Returns False if nothing was running."""
        with self._alone():
            return self._stop(observer)

    def last_log_lines(self, service: Service, count: int = LOG_LINES) -> tuple[str, ...]:
        try:
            with self.layout.log(service).open(errors="replace") as log:
                return tuple(line.rstrip("\n") for line in collections.deque(log, maxlen=count))
        except FileNotFoundError:
            return ()

    @property
    def _supervisord(self) -> Supervisord:
        return Supervisord(self.layout.socket)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.var.mkdir(parents=True, exist_ok=True)
        with self.layout.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ClusterError(f"Another start or stop is running on {self.var}. Wait for it.") from None
            yield

    def _processes(self) -> tuple[ServiceStatus, ...]:
        """Return the processes without health checks: `healthy` is False for all."""
        processes = self._supervisord.processes() if self.is_running() else {}
        return tuple(
            ServiceStatus(
                service=service,
                port=self.ports.of(service),
                state=process.state,
                pid=process.pid,
                uptime=process.uptime,
                healthy=False,
            )
            for service in Service
            for process in (processes.get(service, NOT_RUNNING),)
        )

    def _check_same_ports(self) -> None:
        running = self._supervisord.identifier()
        if running != self.ports.label:
            raise ClusterError(
                f"The cluster on {self.var} runs on other ports ({running.removeprefix('druid-')}) than requested. "
                "Set DRUID_PORT_OFFSET to its value at the start, or stop the cluster first: python -m druid stop."
            )

    def _launch(self, java: Path) -> None:
        layout = self.layout
        # ZooKeeper stores only live services. After a crash it would list dead ones until their sessions expire.
        shutil.rmtree(layout.zookeeper, ignore_errors=True)
        # Left behind by killed processes.
        shutil.rmtree(layout.temporary, ignore_errors=True)
        layout.socket.unlink(missing_ok=True)
        layout.pid.unlink(missing_ok=True)
        for folder in (layout.logs, layout.temporary, layout.zookeeper):
            folder.mkdir(parents=True, exist_ok=True)
        shared = (config.CONF / "zookeeper" / "zoo.cfg").read_text()
        layout.zoo_cfg.write_text(config.zoo_cfg(shared, layout, self.ports))
        setpriv = shutil.which("setpriv")
        layout.supervisord_conf.write_text(
            config.supervisord_conf(layout, self.ports, java, Path(setpriv) if setpriv else None)
        )
        launched = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", layout.supervisord_conf],
            env={**os.environ, **config.environment(layout, self.ports)},
            capture_output=True,
            text=True,
            check=False,
        )
        if launched.returncode != 0:
            raise ClusterError(f"supervisord did not start: {launched.stderr or launched.stdout}")

    def _wait_until_healthy(self, timeout: float, observer: Observer, fatal: frozenset[str]) -> None:
        deadline = time.monotonic() + timeout
        while True:
            services = self.status()
            observer.show(services)
            for status in services:
                if status.state in fatal:
                    raise self._failed(status.service, "ended while it started")
            waiting = [status.service for status in services if not status.healthy]
            if not waiting:
                return
            if time.monotonic() > deadline:
                raise self._failed(waiting[0], f"is not healthy after {timeout:.0f} s")
            time.sleep(POLL_SECONDS)

    def _wait_until_served(self, timeout: float, observer: Observer) -> None:
        deadline = time.monotonic() + timeout
        while (unserved := segments_unserved(self.ports)) != {}:
            if time.monotonic() > deadline:
                raise NotServedError(unserved or {})
            observer.say("Waiting until the stored data is served")
            time.sleep(POLL_SECONDS)

    def _failed(self, service: Service, reason: str) -> ServiceFailedError:
        return ServiceFailedError(service, reason, self.last_log_lines(service))

    def _stop(self, observer: Observer) -> bool:
        if not self.is_running():
            return False
        services: tuple[ServiceStatus, ...] = ()
        # After an interrupted stop it is enough to wait.
        with suppress(ShuttingDownError):
            services = self._processes()
            self._supervisord.shut_down()
        deadline = time.monotonic() + STOP_SECONDS
        # supervisord closes its socket when the last service has ended, and removes its pid file at the very end.
        while self.is_running() or self.layout.pid.exists():
            if time.monotonic() > deadline:
                raise ClusterError(f"supervisord has not ended; {self.layout.supervisord_log} says why.")
            # supervisord answers no requests now, but it still reaps: a missing pid is a service that has ended.
            services = tuple(
                replace(status, state="STOPPING")
                if status.pid is not None and _exists(status.pid)
                else replace(status, state="STOPPED", pid=None, healthy=False)
                for status in services
            )
            observer.show(services)
            time.sleep(POLL_SECONDS)
        return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
