"""The default target of a run: Druid with sample data, and a gateway in front of it."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from druid.cluster import Cluster
from druid.display import LiveObserver
from gateway import ingest
from gateway.ingest.batch import display
from tests.datasets import DATASETS
from tests.load.errors import LoadError

ROOT = Path(__file__).parents[2]
VAR = ROOT / "var" / "load"
SPECS = ROOT / "ingestion-specs"
# Different from Druid's default ports and from those of all tests.
PORT_OFFSET = "17000"
REQUESTS_PER_MINUTE = 1_000_000
"""Per organization. The largest one sends a fifth of all requests, which exceeds the default."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running service with its process ids."""

    url: str
    pids: tuple[int, ...]


@contextmanager
def druid(console: Console, generator: Path, shape: Mapping[str, int]) -> Iterator[Process]:
    """Run a new Druid with generated chat sessions. `url` is that of its broker."""
    cluster = Cluster.from_environment(
        {"DRUID_PORT_OFFSET": PORT_OFFSET, **os.environ, "DRUID_VAR": str(VAR / "druid")}
    )
    # Remove what an earlier run left behind, for example a killed one.
    cluster.stop()
    shutil.rmtree(cluster.var, ignore_errors=True)
    with LiveObserver(console, "Starting Druid") as observer:
        cluster.start(observer=observer)
    try:
        _fill(console, cluster, generator, shape)
        yield Process(cluster.broker_url, tuple(each.pid for each in cluster.status() if each.pid is not None))
    finally:
        # A second Ctrl-C must not leave a part of the cluster running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with LiveObserver(console, "Stopping Druid") as observer:
            cluster.stop(observer=observer)


def _fill(console: Console, cluster: Cluster, generator: Path, shape: Mapping[str, int]) -> None:
    rows = VAR / "chat_sessions.jsonl.gz"
    options = [text for name, value in shape.items() for text in (f"--{name}", str(value))]
    subprocess.run([sys.executable, generator, *options, "--out", rows], check=True)
    spec = ingest.parse("chat_sessions.json", (SPECS / "chat_sessions.json").read_text(), DATASETS, brings_files=True)
    with display.progress_bar(console) as bar:
        summary = asyncio.run(
            ingest.ingest(
                spec, ingest.DruidUrls.parse(cluster.coordinator_url, cluster.broker_url), files=[rows], on_progress=bar
            )
        )
    display.summary(console, summary)


@contextmanager
def gateway(broker_url: str, database_url: str, secret: str) -> Iterator[Process]:
    """Run `gateway serve` on a free port. Settings of the environment apply, except those that a run must choose."""
    port = _free_port()
    environment = {
        "GATEWAY_REQUESTS_PER_MINUTE": str(REQUESTS_PER_MINUTE),
        # Unless the environment says otherwise: the queries that are compared check nothing either.
        "GATEWAY_COMPLETENESS": "off",
        **os.environ,
        "GATEWAY_DATABASE_URL": database_url,
        "GATEWAY_TOKEN_SECRET": secret,
        "GATEWAY_DRUID_BROKER_URL": broker_url,
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
    }
    with (VAR / "gateway.log").open("wb") as log:
        # In a new session, so that Ctrl-C reaches only the runner, which then stops everything in order.
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve"],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process)
            yield Process(url, (process.pid,))
        finally:
            process.terminate()
            process.wait()


def fresh_accounts() -> tuple[str, str]:
    """Return the URL of a new account database, and a token secret."""
    file = VAR / "accounts.db"
    for each in VAR.glob(f"{file.name}*"):
        each.unlink()
    return f"sqlite:///{file}", secrets.token_urlsafe(32)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    answer = "no answer"
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
        except urllib.error.HTTPError as error:
            answer = error.read().decode()
            time.sleep(0.2)
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    raise LoadError(f"The gateway did not become ready ({answer}); {VAR / 'gateway.log'} says why.")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
