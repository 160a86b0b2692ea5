"""The compose stack, brought up for real once and taken down with its volumes.

KEEP_COMPOSE=1 leaves it up for a look at what went wrong; the next run removes it.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.compose.stack import Caller, Stack, StackError, engine_problem, fresh_stack
from tests.serving import D, P, T

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("compose")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Up and healthy, with the sample data of the one-shot service `ingest`."""
    if problem := engine_problem():
        pytest.exit(f"The compose stack was NOT tested: {problem}.", returncode=2)
    stack = fresh_stack()
    # What an earlier run left, perhaps one that was killed.
    stack.compose("--profile", "*", "down", "--volumes", "--remove-orphans")
    try:
        stack.compose("build", timeout=1800)
        stack.up()
    except StackError as error:
        stack.compose("--profile", "*", "down", "--volumes")
        pytest.exit(f"The compose stack did not come up. {error}", returncode=2)
    try:
        yield stack
    finally:
        if not os.environ.get("KEEP_COMPOSE"):
            stack.compose("--profile", "*", "down", "--volumes")


@pytest.fixture(scope="session")
def caller(stack: Stack) -> Callable[[str], Caller]:
    """Somebody of this organization: the demo's D and P have users, T is made."""
    tokens: dict[str, str] = {}

    def of(organization: str) -> Caller:
        if organization not in tokens:
            tokens[organization] = stack.accounts("tokens", "create", _user(stack, organization), "--name", "tests")
        return Caller(stack.port("GATEWAY_PORT"), tokens[organization])

    return of


def _user(stack: Stack, organization: str) -> str:
    if organization == T:
        stack.accounts("organizations", "create", "Third", "--id", T)
        stack.accounts("users", "create", "third@example.com", T, "--permission", "reports")
    users: Mapping[str, str] = {D: "demo@example.com", P: "partner@example.com", T: "third@example.com"}
    return users[organization]


@pytest.fixture(scope="session")
def hand_counted(stack: Stack) -> str:
    """In place of the sample chat sessions, those that ingestion-specs/samples/README.md counts; what ingest said."""
    return stack.ingest("/ingestion-specs/chat_sessions.json", "--data", "/ingestion-specs/samples/hand_counted.jsonl")
