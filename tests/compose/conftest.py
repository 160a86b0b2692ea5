"""The compose stack: started once for all tests, and removed with its volumes afterwards.

KEEP_COMPOSE=1 leaves it running, so that a failure can be examined; the next run removes it.
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
    """A healthy stack with the sample data of the one-shot service `ingest`."""
    if problem := engine_problem():
        pytest.exit(f"The compose stack was NOT tested: {problem}.", returncode=2)
    stack = fresh_stack()
    # Remove what an earlier run left behind, for example a killed one.
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
    """A caller of this organization. The demo has users of D and P; T is created."""
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
    """Replace the sample rows by those counted in ingestion-specs/samples/README.md, and return the output."""
    return stack.ingest("/ingestion-specs/chat_sessions.json", "--data", "/ingestion-specs/samples/hand_counted.jsonl")
