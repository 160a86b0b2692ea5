"""`gateway ingest SPEC` with a supervisor spec, and `gateway ingest stream`."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.ingest.cli import app
from tests.streaming.victim import SPECS, Table, numbered

pytestmark = pytest.mark.cluster


async def gateway_ingest(table: Table, *arguments: str) -> tuple[int, str]:
    # In a thread, because the command runs an event loop of its own.
    overlord = ("--overlord", str(table.victim.urls.overlord))
    result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, *overlord])
    return result.exit_code, unwrapped(result.output)


def unwrapped(output: str) -> str:
    """Remove the line ends and frames of a narrow terminal."""
    return " ".join(output.replace("│", " ").split())


async def test_a_stream_from_its_start_to_its_end(table: Table, tmp_path: Path) -> None:
    supervisor = json.loads((SPECS / "chat_sessions.kafka.json").read_text())
    supervisor["spec"]["ioConfig"]["topic"] = table.name
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(supervisor))
    await table.send(numbered(0, 20))

    code, output = await gateway_ingest(
        table,
        *(str(spec), "--data-source", table.name),
        *("--bootstrap-servers", table.victim.kafka.bootstrap_servers),
    )
    assert (code, "reading" in output, f"stream watch {table.name}" in output) == (0, True, True), output
    await table.holds(20)

    code, output = await gateway_ingest(table, "stream", "status", table.name, "--json")
    values = json.loads(output)
    assert (code, values["condition"], values["rows"], values["tasks_failed"]) == (0, "reading", 20, 0)
    code, output = await gateway_ingest(table, "stream", "list", "--json")
    assert (code, [stream["stream"] for stream in json.loads(output)]) == (0, [table.name])
    code, output = await gateway_ingest(table, "stream", "list")
    assert (code, table.name in output) == (0, True)

    # Without a terminal, it prints one line for each update until the stream is terminated.
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "ingest", "stream", "watch", table.name, "--every", "0.2"),
        *("--overlord", str(table.victim.urls.overlord)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert watching.stdout is not None
    seen = (await watching.stdout.readline()).decode()
    code, output = await gateway_ingest(table, "stream", "suspend", table.name)
    assert (code, f"stream resume {table.name}" in output) == (0, True)
    code, output = await gateway_ingest(table, "stream", "status", table.name)
    assert (code, "suspended" in output) == (0, True)
    code, output = await gateway_ingest(table, "stream", "resume", table.name)
    assert code == 0
    code, output = await gateway_ingest(table, "stream", "terminate", table.name)
    assert (code, "is terminated" in output) == (0, True)
    seen += (await watching.communicate())[0].decode()
    assert watching.returncode == 1
    assert f"{table.name} reading lag=" in seen
    assert f"{table.name} suspended lag=" in seen
    assert f"Druid has no stream {table.name}" in seen
    assert await table.count() == 20


def test_nothing_is_sent_if_the_spec_is_not_valid_or_rows_are_given(tmp_path: Path) -> None:
    supervisor = json.loads((SPECS / "chat_sessions.kafka.json").read_text())
    supervisor["spec"]["ioConfig"]["taskDuration"] = "PT30S"
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(supervisor))
    # There is no overlord, so a request would fail with another message.
    nowhere = ("--overlord", "http://127.0.0.1:1")
    result = CliRunner().invoke(app, [str(spec), *nowhere])
    assert (result.exit_code, "whole minutes" in result.output) == (1, True)
    result = CliRunner().invoke(app, [str(spec), "--data", str(spec), *nowhere])
    assert (result.exit_code, "for batch specs" in unwrapped(result.output)) == (2, True)
    result = CliRunner().invoke(app, [str(SPECS / "chat_sessions.kafka.json"), *nowhere])
    assert (result.exit_code, "cannot be reached" in result.output) == (1, True)
