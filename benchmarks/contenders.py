"""The servers that `peers.py` compares, each a process of its own that ends with its context manager."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.command import BenchError

ROOT = Path(__file__).parents[1]
ORGANIZATION = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"
REPORT_PATH = f"/api/reporting/v1/orgs/{ORGANIZATION}/chat_sessions"
QUERY_PATH = "/druid/v2"
START_SECONDS = 60
_USER = "bench@example.com"
_SETTINGS = {
    # One organization makes all requests.
    "GATEWAY_REQUESTS_PER_MINUTE": "100000000",
    "GATEWAY_CONCURRENT_REPORTS": "1000",
    "GATEWAY_CPU_SECONDS_PER_MINUTE": "86400",
}
_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 64k;
    keepalive_requests 1000000000;
    upstream druid {{ server {broker}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://druid;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to measure. `pid` is the root of its process tree; None for a Druid that was running before."""

    name: str
    url: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    pid: int | None = None
    speaks_druid: bool = False
    """Whether it takes native queries rather than reports."""

    def cpu_seconds(self) -> float | None:
        """Return the CPU time, user and system, that its processes have used so far."""
        if self.pid is None:
            return None
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    def reset_peak_memory(self) -> None:
        """Start a new measurement of the peak."""
        for process in self._processes():
            # proc(5): 5 resets the peak resident set size.
            Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")

    def peak_megabytes(self) -> float | None:
        """Return the peak resident memory of its processes since the reset."""
        if self.pid is None:
            return None
        statuses = (Path(f"/proc/{each.pid}/status").read_text(encoding="utf-8") for each in self._processes())
        return sum(int(found[1]) for status in statuses if (found := re.search(r"VmHWM:\s+(\d+)", status))) / 1024

    def _processes(self) -> list[psutil.Process]:
        if self.pid is None:
            return []
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]


@contextmanager
def canned_druid(log: Path) -> Iterator[str]:
    """Run the stand-in for Druid; the value is its URL."""
    port = _free_port()
    with _process([sys.executable, "-m", "benchmarks.canned_druid", str(port)], port, log):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def nginx(broker_url: str, folder: Path) -> Iterator[Contender]:
    """Run nginx as a reverse proxy with kept connections."""
    executable = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if executable is None:
        raise FileNotFoundError("nginx")
    port, config = _free_port(), folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, broker=urlsplit(broker_url).netloc), encoding="utf-8")
    with _process([executable, "-p", str(folder), "-c", str(config)], port, folder / "nginx.log") as pid:
        yield Contender("nginx", f"http://127.0.0.1:{port}", QUERY_PATH, pid=pid, speaks_druid=True)


@contextmanager
def minimal_gateway(broker_url: str, folder: Path, *, under: Sequence[str] = ()) -> Iterator[Contender]:
    """Run the gateway without checks, by the command `under` if one is given."""
    port = _free_port()
    command = [*under, sys.executable, "-m", "benchmarks.minimal_gateway", str(port), broker_url]
    with _process(command, port, folder / "minimal.log") as pid:
        yield Contender("minimal", f"http://127.0.0.1:{port}", REPORT_PATH, pid=pid)


@contextmanager
def gateway(  # noqa: PLR0913 - what distinguishes the gateways of a run
    name: str,
    checkout: Path,
    broker_url: str,
    coordinator_url: str | None,
    folder: Path,
    *,
    workers: int = 1,
    under: Sequence[str] = (),
) -> Iterator[Contender]:
    """Run a checkout's `gateway serve` as an operator would, with an account database of its own.

    `under` is a command that runs it, if one is given.
    """
    port = _free_port()
    bin_folder = Path(sys.executable).parent if checkout == ROOT else checkout / ".venv" / "bin"
    command = str(bin_folder / "gateway")
    environment = {
        **_known(command),
        **os.environ,
        "GATEWAY_DATABASE_URL": f"sqlite:///{folder / name}.db",
        "GATEWAY_TOKEN_SECRET": secrets.token_urlsafe(32),
        "GATEWAY_DRUID_BROKER_URL": broker_url,
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        **({"GATEWAY_DRUID_COORDINATOR_URL": coordinator_url} if coordinator_url else {}),
    }
    headers = {"Authorization": f"Token {_token(command, environment)}"}
    log = folder / f"{name}.log"
    # Other checkouts may not know the option.
    options = ["--workers", str(workers)] if workers > 1 else []
    # Not the script itself: what runs it may not know where Python is.
    with _process(
        [*under, str(bin_folder / "python"), command, "serve", *options], port, log, environment, ready="/readyz"
    ) as pid:
        yield Contender(name, f"http://127.0.0.1:{port}", REPORT_PATH, headers, pid)


def _known(command: str) -> Mapping[str, str]:
    """Return the settings that this checkout knows: a gateway rejects others."""
    done = subprocess.run([command, "serve", "--help"], capture_output=True, text=True, check=True)
    return {name: value for name, value in _SETTINGS.items() if name in done.stdout}


def _token(command: str, environment: Mapping[str, str]) -> str:
    """Create the account database with one user, and return the user's API token."""
    lines = [
        {"kind": "organization", "id": ORGANIZATION, "name": "Benchmark"},
        {"kind": "user", "email": _USER, "organization_id": ORGANIZATION, "permissions": ["reports"]},
    ]

    def accounts(*arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [command, "accounts", *arguments],
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        if done.returncode:
            raise BenchError(f"{command} accounts {arguments[0]} failed: {done.stderr or done.stdout}")
        return done.stdout

    accounts("migrate")
    accounts("import", "-", given="".join(f"{json.dumps(line)}\n" for line in lines))
    return accounts("tokens", "create", _USER, "--name", "bench").strip()


@contextmanager
def _process(
    command: Sequence[str],
    port: int,
    log: Path,
    environment: Mapping[str, str] = os.environ,
    *,
    ready: str | None = None,
) -> Iterator[int]:
    """Run a server until the block ends; the value is its process id. It is ready when it answers `ready` with 200."""
    with log.open("wb") as output:
        # In a session of its own, so that Ctrl-C reaches only this program, which then stops the servers in order.
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_ready(process, port, ready, log)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, ready: str | None, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if ready is None:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            else:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise BenchError(f"{process.args!r} did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
