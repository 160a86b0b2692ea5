"""The commands of `gateway ingest` as processes: signals, terminals, secrets, and wrong inputs."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.ingest.stand_in import StandIn, described

ROOT = Path(__file__).parents[3]
SPEC = ROOT / "ingestion-specs" / "chat_sessions.json"
HAND_COUNTED = ROOT / "ingestion-specs" / "samples" / "hand_counted.jsonl"
ROWS = Path(__file__).parent / "rows"
SECRET = "mark-er-pass"


@pytest.fixture
def druid() -> Iterator[StandIn]:
    with StandIn().running() as druid:
        yield druid


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gateway", "ingest", *(os.fsdecode(str(each)) for each in arguments)]


def environment(druid: StandIn, **variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DRUID_", "GATEWAY_"))}
    return {**inherited, "DRUID_OVERLORD_URL": druid.url, "DRUID_BROKER_URL": druid.url, "COLUMNS": "80", **variables}


def run(druid: StandIn, *arguments: object, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        command(*arguments), env=environment(druid, **variables), check=False, capture_output=True, timeout=60, cwd=ROOT
    )
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_signal_cancels_the_task_of_the_command(druid: StandIn, number: int, code: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *command(SPEC, "--data", HAND_COUNTED),
        env=environment(druid),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert await asyncio.to_thread(druid.submitted.wait, 30)
    process.send_signal(number)
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == code
    assert b"Interrupted" in output
    assert b"Traceback" not in output
    task_id = druid.tasks[0]["id"].replace(":", "%3A")
    assert ("POST", f"/druid/indexer/v1/task/{task_id}/shutdown", None) in druid.requests


def test_a_task_that_cannot_be_cancelled_is_named(druid: StandIn) -> None:
    process = subprocess.Popen(
        command(SPEC, "--data", HAND_COUNTED), env=environment(druid), cwd=ROOT, stderr=subprocess.PIPE
    )
    assert druid.submitted.wait(30)
    task_id = druid.tasks[0]["id"]
    druid.response = lambda *_: (503, b"restarting")  # type: ignore[method-assign]
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"gateway ingest cancel {task_id}" in errors.decode()


def test_names_are_quoted_in_urls(druid: StandIn) -> None:
    code, _ = run(druid, "status", "a%b#c?d/e ü")
    assert code == 1
    assert druid.requests[0][:2] == ("GET", "/druid/indexer/v1/task/a%25b%23c%3Fd%2Fe%20%C3%BC/status")
    run(druid, "stream", "status", "a%b#c?d/e")
    assert druid.requests[-1][:2] == ("GET", "/druid/indexer/v1/supervisor/a%25b%23c%3Fd%2Fe/status")


def test_credentials_are_sent_and_never_shown(druid: StandIn) -> None:
    secret_url = f"http://admin:{SECRET}@{druid.netloc}"
    refused = f"http://admin:{SECRET}@127.0.0.1:1"
    outputs = [
        run(druid, *arguments, "--overlord", url)[1]
        for url in (secret_url, refused, f"https://admin:{SECRET}@{druid.netloc}", f"admin:{SECRET}@nowhere")
        for arguments in (["list"], ["status", "x"], ["stream", "list"], [SPEC, "--no-wait"])
    ]
    druid.body = b"not json \x1b[31m"
    for druid.status in (200, 401, 503):
        outputs.append(run(druid, "stream", "list", "--overlord", secret_url)[1])
    assert {authorization for _, _, authorization in druid.requests} == {"Basic YWRtaW46bWFyay1lci1wYXNz"}
    for output in outputs:
        assert SECRET not in output
        assert "YWRtaW4" not in output
        assert "\x1b" not in output
        assert "Traceback" not in output


def test_the_list_has_one_whole_line_for_each_task_at_any_width(druid: StandIn) -> None:
    long_id = "gateway_chat_sessions_2026-01-01T00:00:00_0123abcd" * 2
    druid.tasks = [
        described(long_id, statusCode="SUCCESS", duration=12345),
        described("second", runnerStatusCode="PENDING"),
        described("third\x1b[31m\r", statusCode="FAILED", duration=5),
    ]
    code, output = run(druid, "list")
    assert code == 0
    assert output.splitlines() == [
        f"success     12.3 s  {long_id}",
        "waiting             second",
        "failed       0.0 s  third\\x1b[31m\\r",
    ]


def test_control_sequences_in_data_are_shown_in_readable_form(druid: StandIn) -> None:
    code, output = run(druid, SPEC, "--data", ROWS / "escape.jsonl")
    assert code == 1
    assert "escape.jsonl:1:17: not JSON: invalid control character" in output
    assert r"x\x1b[31mRED\x1b]0;title\x07" in output
    assert "\x1b" not in output
    druid.tasks = [described("t", statusCode="FAILED", errorMsg="\x1b]0;title\x07[red]"), described("t")]
    code, output = run(druid, "status", "t")
    assert (code, r"\x1b]0;title\x07[red]" in output, "\x1b" in output) == (1, True, False)


def test_a_pipe_is_rejected_at_once_and_starts_no_task(druid: StandIn, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert run(druid, SPEC, "--data", fifo)[0] == 1
    done = subprocess.run(
        command(SPEC, "--data", "/dev/stdin"), env=environment(druid), cwd=ROOT, check=False,
        input=HAND_COUNTED.read_bytes(), capture_output=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"Cannot ingest /dev/stdin: it is not a regular file" in done.stderr
    assert druid.requests == []
