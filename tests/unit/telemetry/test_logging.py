"""The format of log lines."""

import subprocess
import sys

import pytest

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
