"""A short run of `make fuzz`. It begins with all earlier findings."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import NoReturn

import pytest
import structlog

from gateway.errors import InvalidReport
from tests.fuzz import running, targets
from tests.fuzz.__main__ import ROOT
from tests.fuzz.seeds import seeds

INPUTS = 8_000


@pytest.fixture(scope="module", autouse=True)
def _logging_of_other_tests() -> Iterator[None]:
    """The fuzzed gateway logs nothing; the other tests of this process do."""
    configuration = structlog.get_config()
    yield
    running.stop()
    structlog.configure(**configuration)


def test_every_response_is_a_result_or_a_clear_error() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", str(INPUTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    inputs = re.fullmatch(r"(\d+) inputs, \d+ seconds, 0 findings", done.stdout.splitlines()[-1])
    assert inputs is not None
    assert int(inputs[1]) >= INPUTS


@pytest.mark.parametrize("target", list(targets.TARGETS))
def test_no_seed_stalls_the_event_loop(target: str) -> None:
    """Without instrumentation, so that the limit is that of production."""
    assert running.STALL_SECONDS == 0.02
    for seed in seeds(target):
        targets.check_input(target, seed)


def test_an_unexpected_error_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise KeyError

    targets.check_input("body", b"{}")
    monkeypatch.setattr("gateway.query.parsed_reports.parse", fail)
    with pytest.raises(AssertionError, match="500"):
        targets.check_input("body", b"{}")


def test_a_stall_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def spin(*_: object) -> NoReturn:
        sum(range(5_000_000))
        raise InvalidReport("after a while")

    monkeypatch.setattr("gateway.query.parsed_reports.parse", spin)
    with pytest.raises(AssertionError, match="a stall of"):
        targets.check_input("body", b"{}")
