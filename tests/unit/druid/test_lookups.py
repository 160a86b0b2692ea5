"""`python -m druid lookups` without a cluster, with faulty files, and names that must be quoted in URLs."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from druid.cli import app
from druid.errors import ClusterError
from druid.lookups import register
from tests.unit.ingest.stand_in import StandIn


class Coordinator(StandIn):
    """One that loads every lookup at once."""

    def response(self, method: str, path: str, sent: bytes) -> tuple[int, bytes]:  # noqa: ARG002
        return self.status, self.body


@pytest.fixture
def coordinator() -> Iterator[StandIn]:
    with Coordinator().running() as coordinator:
        coordinator.status, coordinator.body = 200, b'{"loaded": true}'
        yield coordinator


def run(file: Path) -> tuple[int, str]:
    # Nothing listens on these ports.
    result = CliRunner().invoke(app, ["lookups", str(file)], env={"DRUID_PORT_OFFSET": "22700"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_without_a_cluster_the_command_says_so(tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    file.write_text('{"user_names": {"17": "Ann"}}')
    code, output = run(file)
    assert (code, len(output.splitlines())) == (1, 1)
    assert output.startswith("The coordinator http://127.0.0.1:30781 does not respond: Connection refused. ")


@pytest.mark.parametrize(
    "content", ["[]", "1", '{"a": []}', '{"a": {"17": 1}}', '{"a": {"17": null}}', '{"a": {"17": {"b": "c"}}}']
)
def test_a_file_of_another_form_is_rejected(content: str, tmp_path: Path) -> None:
    file = tmp_path / "names[red].json"
    file.write_text(content)
    form = '{"user_names": {"17": "Ann"}}'
    assert run(file) == (1, f"{file} is not an object of lookups, such as {form}.\n")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_not_json_is_rejected(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    file.write_bytes(content)
    code, output = run(file)
    assert (code, output.startswith(f"{file} is not JSON: ")) == (1, True)


def test_names_are_quoted_in_urls(coordinator: StandIn) -> None:
    register(coordinator.url, {"a b/c": {"17": "Ann"}})
    paths = [path for _, path, _ in coordinator.requests]
    assert paths[1].endswith("/lookups/config/__default/a%20b%2Fc")
    assert paths[2].endswith("/lookups/status/__default/a%20b%2Fc")


def test_a_rejection_and_another_server_are_cluster_errors(coordinator: StandIn) -> None:
    coordinator.status = 500
    with pytest.raises(ClusterError, match="responded with status 500 to /druid/coordinator/v1/lookups/config"):
        register(coordinator.url, json.loads('{"a": {}}'))
    coordinator.status, coordinator.body = 200, b"<html>"
    with pytest.raises(ClusterError, match="does not respond like a coordinator"):
        register(coordinator.url, {})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(ClusterError, match="does not respond"):
        register(url, {})
