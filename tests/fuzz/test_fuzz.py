"""A short run of `make fuzz`; it begins with everything that was ever found."""

import re
import subprocess
import sys
from typing import NoReturn

import pytest

from tests.fuzz import targets
from tests.fuzz.__main__ import ROOT

INPUTS = 20_000


def test_nothing_but_a_clear_error_comes_out() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", str(INPUTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    inputs = re.fullmatch(r"(\d+) inputs, \d+ seconds, 0 findings", done.stdout.splitlines()[-1])
    assert inputs is not None
    assert int(inputs[1]) >= INPUTS


def test_any_other_exception_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise KeyError

    targets.check("body", b"{}")
    monkeypatch.setattr(targets, "parse", fail)
    with pytest.raises(KeyError):
        targets.check("body", b"{}")


def test_taking_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MOST_SECONDS", 0.0)
    with pytest.raises(AssertionError, match="2 bytes"):
        targets.check("body", b"{}")
