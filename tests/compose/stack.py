"""The compose stack under test: a separate compose project with its own ports and secrets."""

import http.client
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.serving import Answer, D

ROOT = Path(__file__).parents[2]
PROJECT = "druid-gateway-tests"
PORTS = ("GATEWAY_PORT", "DRUID_BROKER_PORT", "DRUID_COORDINATOR_PORT", "KAFKA_PORT")
SECRETS = ("POSTGRES_PASSWORD", "GATEWAY_DATABASE_PASSWORD", "GATEWAY_TOKEN_SECRET")
UP = 1500.0
"""Seconds, for a busy machine. Two idle cores need a twentieth of this."""


class StackError(Exception):
    """A command failed. The message contains its output."""


@dataclass(frozen=True, slots=True)
class Stack:
    """`environment` has the values for docker-compose.yml, instead of `.env` and the environment of the caller."""

    environment: Mapping[str, str]

    def compose(self, *arguments: str, timeout: float = 600) -> str:
        """Run `docker compose` and return its standard output. Raises StackError."""
        return self.docker("compose", "-p", PROJECT, "--env-file", os.devnull, *arguments, timeout=timeout)

    def docker(self, *arguments: str, timeout: float = 60) -> str:
        """Run `docker` and return its standard output. Raises StackError."""
        command = ["docker", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise StackError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def up(self) -> None:
        """Start all services and wait. Raises StackError with the state and the last log lines of every service."""
        try:
            self.compose("up", "--wait", timeout=UP)
        except (StackError, subprocess.TimeoutExpired) as error:
            state = self.compose("ps", "--all")
            logs = self.compose("logs", "--no-color", "--tail", "25")
            raise StackError(f"{error}\n{state}\n{logs}") from error

    def accounts(self, *arguments: str) -> str:
        return self.compose("exec", "-T", "gateway", "gateway", "accounts", *arguments).strip()

    def ingest(self, *arguments: str) -> str:
        """Run `gateway ingest` in a new container, as docs/compose.md describes."""
        return self.compose(
            "run", "--rm", "-T", "--no-deps", "--use-aliases", "--entrypoint", "gateway", "ingest", "ingest", *arguments
        )

    def port(self, name: str) -> int:
        return int(self.environment[name])

    def exit_codes(self) -> Mapping[str, int]:
        """Return the exit code of every container."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {each["Service"]: each["ExitCode"] for each in map(json.loads, lines)}


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with a token."""

    port: int
    token: str

    def post(self, body: object, *, organization: str = D, timeout: float = 90, fresh: bool = False) -> Answer:
        """Request a report. A fresh answer comes from Druid, and not from what the gateway has stored."""
        headers = {"Authorization": f"Token {self.token}"} | ({"Cache-Control": "no-cache"} if fresh else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            path = f"/api/reporting/v1/orgs/{organization}/chat_sessions"
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


def fresh_stack() -> Stack:
    """Describe a stack with free ports and new secrets, without starting it."""
    ours = ("GATEWAY_", "DRUID_", "COMPOSE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return Stack(
        kept
        | {name: str(port) for name, port in zip(PORTS, _free_ports(len(PORTS)), strict=True)}
        | {name: secrets.token_hex(32) for name in SECRETS}
        | {"GATEWAY_IMAGE": f"{PROJECT}:latest", "GATEWAY_ENV_FILE": os.devnull}
        # Without the buildx plugin compose needs the legacy builder.
        | ({} if _works("docker", "buildx", "version") else {"DOCKER_BUILDKIT": "0"})
    )


def engine_problem() -> str | None:
    """Describe what is missing to run containers, if anything."""
    if not _works("docker", "compose", "version"):
        return "`docker compose` (version 2.24 or later) is not installed"
    if not _works("docker", "info"):
        return "no Docker engine answers (`docker info`)"
    return None


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether the condition became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def free_range(count: int) -> range:
    """Find so many consecutive free ports."""
    for start in range(20_000, 32_000, count):
        with ExitStack() as probes:
            try:
                for port in range(start, start + count):
                    probes.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return range(start, start + count)
    raise StackError("There is no range of free ports.")


def _works(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _free_ports(count: int) -> list[int]:
    # All sockets are open at the same time, so that the ports differ.
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
