"""The compose stack as the tests handle it: a project of its own, on ports and with secrets of its own."""

import http.client
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.serving import Answer, D

ROOT = Path(__file__).parents[2]
PROJECT = "druid-gateway-tests"
PORTS = ("GATEWAY_PORT", "DRUID_BROKER_PORT", "DRUID_COORDINATOR_PORT", "KAFKA_PORT")
SECRETS = ("POSTGRES_PASSWORD", "GATEWAY_TOKEN_SECRET")
UP = 1500.0
"""Seconds, for a machine that has other work. On two idle cores it takes a twentieth of it."""


class StackError(Exception):
    """A command failed; the text has its output."""


@dataclass(frozen=True, slots=True)
class Stack:
    """`environment` is what docker-compose.yml is filled in from: no `.env` and nothing of the caller's counts."""

    environment: Mapping[str, str]

    def compose(self, *arguments: str, timeout: float = 600) -> str:
        """Run `docker compose` and return its standard output. Raises StackError."""
        command = ["docker", "compose", "-p", PROJECT, "--env-file", os.devnull, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise StackError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def up(self) -> None:
        """Raises StackError, with the state and the last words of every service."""
        try:
            self.compose("up", "--wait", timeout=UP)
        except (StackError, subprocess.TimeoutExpired) as error:
            state = self.compose("ps", "--all")
            logs = self.compose("logs", "--no-color", "--tail", "25")
            raise StackError(f"{error}\n{state}\n{logs}") from error

    def accounts(self, *arguments: str) -> str:
        return self.compose("exec", "-T", "gateway", "gateway", "accounts", *arguments).strip()

    def ingest(self, *arguments: str) -> str:
        """Run `gateway ingest` in a container of its own, as docs/compose.md has it."""
        return self.compose(
            "run", "--rm", "-T", "--no-deps", "--use-aliases", "--entrypoint", "gateway", "ingest", "ingest", *arguments
        )

    def port(self, name: str) -> int:
        return int(self.environment[name])

    def exit_codes(self) -> Mapping[str, int]:
        """Of every container that there is."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {each["Service"]: each["ExitCode"] for each in map(json.loads, lines)}


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token."""

    port: int
    token: str

    def post(self, body: object, *, organization: str = D, timeout: float = 90) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            path = f"/api/reporting/v1/orgs/{organization}/chat_sessions"
            connection.request("POST", path, json.dumps(body), {"Authorization": f"Token {self.token}"})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


def fresh_stack() -> Stack:
    """Describe a stack with free ports and fresh secrets; nothing is started."""
    ours = ("GATEWAY_", "DRUID_", "COMPOSE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return Stack(
        kept
        | {name: str(port) for name, port in zip(PORTS, _free_ports(len(PORTS)), strict=True)}
        | {name: secrets.token_hex(32) for name in SECRETS}
        | {"GATEWAY_IMAGE": f"{PROJECT}:latest", "GATEWAY_ENV_FILE": os.devnull}
        # Without the buildx plugin compose can only build the old way.
        | ({} if _works("docker", "buildx", "version") else {"DOCKER_BUILDKIT": "0"})
    )


def engine_problem() -> str | None:
    """Say what is missing to run containers, if anything."""
    if not _works("docker", "compose", "version"):
        return "`docker compose` (version 2.24 or later) is not installed"
    if not _works("docker", "info"):
        return "no Docker engine answers (`docker info`)"
    return None


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def _works(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _free_ports(count: int) -> list[int]:
    # All held at once, so that none is given out twice.
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
