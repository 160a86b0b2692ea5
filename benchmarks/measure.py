"""One measurement: wrk sends requests to one server for a while, or one caller reads a few large answers."""

import http.client
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.command import BenchError
from benchmarks.contenders import Contender
from benchmarks.questions import START, Question

SCRIPT = Path(__file__).with_name("varied_requests.lua")
_LONGEST_ANSWER = 120
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Times in milliseconds, memory in MB; CPU time is the server's own, per request."""

    requests: int
    per_second: float
    p50: float
    p99: float
    cpu: float | None
    peak: float | None


@dataclass(frozen=True, slots=True)
class Requests:
    """What to send to a server: `template` is a body with @START@ for the moment that varies."""

    question: Question
    template: str

    def body(self, number: int) -> str:
        """Return the body of one request; each number gives another one."""
        moment = self.question.first + timedelta(milliseconds=number)
        return self.template.replace(START, f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z")


@dataclass(frozen=True, slots=True)
class Load:
    """How to send them: by how many callers at once, for how long, and beginning with which number."""

    callers: int
    seconds: int
    first: int
    repeated: bool = False


def ask_druid(contender: Contender, body: str) -> list[Any]:
    """Return the rows that answer a native query."""
    rows: list[Any] = json.loads(_ask(contender, contender.path, body))
    return rows


def ask_gateway(contender: Contender, body: str, parameters: str = "") -> dict[str, Any]:
    """Return a gateway's answer to a report."""
    answer: dict[str, Any] = json.loads(_ask(contender, contender.path + parameters, body))
    return answer


def ask_in_turn(contender: Contender, requests: Requests, numbers: Iterable[int]) -> None:
    """Send these requests one after the other through one connection."""
    connection = _connect(contender)
    try:
        for number in numbers:
            _exchange(connection, contender.path, requests.body(number), contender)
    finally:
        connection.close()


def _ask(contender: Contender, path: str, body: str) -> bytes:
    connection = _connect(contender)
    try:
        return _exchange(connection, path, body, contender)
    finally:
        connection.close()


def send(contender: Contender, requests: Requests, load: Load) -> Measurement:
    """Send requests by wrk, whose callers send their next one as soon as they have been answered."""
    executable = shutil.which("wrk")
    if executable is None:
        raise BenchError("wrk is not installed. On Debian and Ubuntu: apt-get install wrk")
    start = int(requests.question.first.timestamp() * 1000) + load.first
    headers = {"Content-Type": "application/json", **contender.headers}
    command = [executable, "--threads", "1", "--connections", str(load.callers), "--duration", f"{load.seconds}s"]
    command += ["--timeout", f"{_LONGEST_ANSWER}s", "--script", str(SCRIPT)]
    command += [text for name, value in headers.items() for text in ("--header", f"{name}: {value}")]

    def run() -> Mapping[str, float]:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(requests.template)
            file.flush()
            varied = [contender.url + contender.path, "--", file.name, str(start), "0" if load.repeated else "1"]
            done = subprocess.run(
                [*command, *varied],
                capture_output=True,
                text=True,
                check=False,
                timeout=load.seconds + 2 * _LONGEST_ANSWER,
            )
        if done.returncode:
            raise BenchError(f"wrk failed: {done.stderr or done.stdout}")
        found: Mapping[str, float] = json.loads(done.stdout.splitlines()[-1])
        if found["failed"] or not found["requests"]:
            raise BenchError(
                f"{contender.name}, {requests.question.title}, {load.callers} callers: {found['failed']} of "
                f"{found['requests']} requests failed."
            )
        return found

    return _measured(contender, run)


def _measured(contender: Contender, run: Callable[[], Mapping[str, float]]) -> Measurement:
    contender.reset_peak_memory()
    before = contender.cpu_seconds()
    found = run()
    after = contender.cpu_seconds()
    return Measurement(
        requests=int(found["requests"]),
        per_second=found["requests"] / found["duration"] * 1e6,
        p50=found["p50"] / 1000,
        p99=found["p99"] / 1000,
        cpu=None if before is None or after is None else (after - before) / found["requests"] * 1000,
        peak=contender.peak_megabytes(),
    )


def read_large_answers(contender: Contender, requests: Requests, *, answers: int, first: int) -> Measurement:
    """Read so many answers one after the other. wrk would leave the last one unfinished, and its CPU time counted."""
    times = []
    connection = _connect(contender)

    def run() -> Mapping[str, float]:
        for number in range(first, first + answers):
            began = time.perf_counter()
            _exchange(connection, contender.path, requests.body(number), contender)
            times.append((time.perf_counter() - began) * 1e6)
        return {
            "requests": answers,
            "duration": sum(times),
            "p50": statistics.median(times),
            "p99": max(times),
        }

    try:
        return _measured(contender, run)
    finally:
        connection.close()


def _connect(contender: Contender) -> http.client.HTTPConnection:
    address = urlsplit(contender.url)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=_LONGEST_ANSWER)


def _exchange(connection: http.client.HTTPConnection, path: str, body: str, contender: Contender) -> bytes:
    connection.request("POST", path, body, {"Content-Type": "application/json", **contender.headers})
    response = connection.getresponse()
    found = response.read()
    if response.status != 200:
        raise BenchError(f"{contender.name} answered with {response.status}: {found[:500]!r}")
    return found
