"""The format of log lines."""

import json
import subprocess
import sys

import pytest

from gateway.telemetry import log_writer

PROGRAM = """
import structlog
from gateway.telemetry.logging import configure_logging

configure_logging({log_format!r})

def fail(credential):
    raise ValueError("wrong")

try:
    fail("a-secret-value")
except ValueError:
    structlog.get_logger().exception("failed")
"""


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_traceback_shows_no_values_of_variables(log_format: str) -> None:
    # The program defines the value in its own text, which is not a file that a traceback could quote.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(log_format=log_format)], capture_output=True, text=True, check=True
    )
    assert "ValueError: wrong" in done.stderr
    assert "in fail" in done.stderr
    assert "a-secret-value" not in done.stderr


SLOW_READER = """
import os, sys
from gateway.telemetry import log_writer
from gateway.telemetry.logging import configure_logging
import structlog

configure_logging("json")
log = structlog.get_logger()
for number in range(3 * log_writer.MOST_LINES):
    log.info("line", number=number, text="x" * 100)
print("not blocked", flush=True)
sys.stdin.readline()
"""


def test_a_reader_that_stops_reading_stops_nothing() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_READER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "not blocked\n"
        _, told = process.communicate("\n", timeout=60)
    lines = [json.loads(line) for line in told.splitlines()]
    dropped = sum(line["lines"] for line in lines if line["event"] == "log_lines_dropped")
    written = [line["number"] for line in lines if line["event"] == "line"]
    assert written == sorted(written)
    # The thread may hold as many lines as wait, while it waits for the reader.
    assert 0 < len(written) <= 2 * log_writer.MOST_LINES + 1_000
    # The line about dropped lines may take the place of one more.
    assert 3 * log_writer.MOST_LINES - len(written) - dropped in (0, 1)
