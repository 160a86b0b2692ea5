"""Requests, the Druid queries they become, Druid's rows, and the answers: each reviewed by hand and compared exactly.

`python -m tests.golden.record --help` tells how a case is made.
"""

import pytest

from tests.golden.cases import CASES, GIVEN, Case


def test_there_are_cases() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.folder.name)
def test_a_request_becomes_the_query_and_the_answer_that_were_reviewed(case: Case) -> None:
    # As text, for in Python 1 == 1.0 == True.
    stored = {path.name: path.read_text() for path in case.folder.iterdir() if path.name not in GIVEN}
    assert case.outcome() == stored
