"""Requests, their Druid queries, Druid's rows, and the answers: each reviewed by hand and compared exactly.

`python -m tests.golden.record --help` explains how to record a case.
"""

from difflib import unified_diff

import pytest

from tests.golden.cases import CASES, GIVEN, Case


def test_there_are_cases() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.folder.name)
def test_the_query_and_the_answer_are_as_reviewed(case: Case) -> None:
    # As text, because in Python 1 == 1.0 == True.
    stored = {path.name: path.read_text() for path in case.folder.iterdir() if path.name not in GIVEN}
    found = case.outcome()
    differences = [_difference(name, stored.get(name, ""), found.get(name, "")) for name in sorted({*stored, *found})]
    if found != stored:
        pytest.fail("\n" + "".join(differences), pytrace=False)


def _difference(name: str, stored: str, found: str) -> str:
    lines = unified_diff(
        stored.splitlines(keepends=True), found.splitlines(keepends=True), f"reviewed/{name}", f"now/{name}"
    )
    return "".join(lines)
