"""The commands of `gateway ingest` as processes: signals, terminals, secrets, and wrong inputs."""

import asyncio
import bz2
import gzip
import lzma
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.ingest.cli import app
from tests.unit.ingest.stand_in import StandIn, described

ROOT = Path(__file__).parents[3]
SPEC = ROOT / "ingestion-specs" / "chat_sessions.json"
HAND_COUNTED = ROOT / "ingestion-specs" / "samples" / "hand_counted.jsonl"
ROWS = Path(__file__).parent / "rows"
SECRET = "mark-er-pass"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gateway", "ingest", *(os.fsdecode(str(each)) for each in arguments)]


def environment(druid: StandIn) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DRUID_", "GATEWAY_"))}
    return {**inherited, "DRUID_OVERLORD_URL": druid.url, "DRUID_BROKER_URL": druid.url, "COLUMNS": "80"}


def run(druid: StandIn, *arguments: object, **variables: str) -> tuple[int, str]:
    """Run a command in this process, which is much faster. Whatever it raises, it must not be a traceback."""
    variables = {"DRUID_OVERLORD_URL": druid.url, "DRUID_BROKER_URL": druid.url, "COLUMNS": "80", **variables}
    result = CliRunner().invoke(app, [os.fsdecode(str(each)) for each in arguments], env=variables)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


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
    read, write = os.pipe()
    code, output = run(druid, SPEC, "--data", f"/dev/fd/{read}")
    assert (code, f"Cannot ingest /dev/fd/{read}: it is not a regular file" in output) == (1, True)
    os.close(read)
    os.close(write)
    assert druid.requests == []


def named(folder: Path, name: bytes, content: bytes) -> Path:
    path = folder / os.fsdecode(name)
    path.write_bytes(content)
    return path


GOOD = HAND_COUNTED.read_bytes()

WRONG_SPECS = {
    "empty": (b"", "not JSON"),
    "not JSON": (b"{\n  x", "line 2, column 3: not JSON"),
    "UTF-16": ('{"type": "index_parallel"}'.encode("utf-16"), "byte 1 is not UTF-8: save the file as UTF-8"),
    "Latin-1": ('{"type": "\xe9"}'.encode("latin-1"), "byte 11 is not UTF-8"),
    "nested deeply": (b"[" * 200_000, "nested too deeply"),
    "nested deeply in a spec": (b'{"type": "kafka", "spec": ' + b"[" * 200_000, "nested too deeply"),
    "a huge number": (b'{"type": ' + b"1" * 10_000 + b"}", "was not sent to Druid"),
    "a duplicate key": (b'{"type": "a", "type": "b"}', "the key 'type' twice"),
    "null": (b"null", "type is None"),
    "a list": (b"[1]", "type is None"),
    "a control sequence": (b'{"type": "\\u001b[31m"}', "type is '\\x1b[31m'"),
    "another type": (b'{"type": "index"}', "has type 'index_parallel'"),
    "only a type": (b'{"type": "index_parallel"}', "spec.dataSchema.dataSource is None"),
    "a stream without spec": (b'{"type": "kafka"}', "spec.dataSchema.dataSource is None"),
    "a number as spec": (b'{"type": "kafka", "spec": 5}', "spec.dataSchema.dataSource is None"),
    "a list as dimensions": (
        b'{"type": "index_parallel", "spec": {"dataSchema": {"dataSource": "chat_sessions", "dimensionsSpec": [1]}}}',
        "lacks owner_organization_id",
    ),
    "a binary file": (bytes(range(256)), "is not UTF-8"),
}


@pytest.mark.parametrize("wrong", WRONG_SPECS)
def test_a_wrong_spec_ends_in_a_sentence_that_names_file_and_fault(wrong: str, druid: StandIn, tmp_path: Path) -> None:
    content, words = WRONG_SPECS[wrong]
    data = () if b"kafka" in content else ("--data", HAND_COUNTED)
    code, output = run(druid, named(tmp_path, b"wrong.json", content), *data)
    assert (code, "wrong.json" in output) == (1, True), output
    assert words in output
    assert "\x1b" not in output
    assert druid.requests == []


WRONG_FILES = {
    "missing.jsonl": (None, "No such file"),
    "empty.jsonl": (b"", "There are no rows in"),
    "rows.gz": (GOOD, "its name ends in .gz, but its content is not gzip"),
    "cut.gz": (gzip.compress(GOOD)[:-20], "the compressed file is truncated after line"),
    "damaged.gz": (gzip.compress(GOOD)[:40] + b"x" * 400, "the compressed file is damaged"),
    "tail.gz": (gzip.compress(GOOD) + b"tail", "the compressed file is damaged"),
    "cut.xz": (lzma.compress(GOOD)[:-20], "the compressed file is truncated after line"),
    "cut.bz2": (bz2.compress(GOOD)[:-20], "the compressed file is truncated after line"),
    "gzip.jsonl": (gzip.compress(GOOD), "Rename it so that its name ends in .gz"),
    "rows.zip": (b"PK\x03\x04", ".zip files are not supported"),
    "rows.zst": (b"", ".zst files are not supported"),
    "utf-16.jsonl": (GOOD.decode().encode("utf-16"), "utf-16.jsonl:1:1: byte 0xff is not UTF-8"),
    "bom.jsonl": (b"\xef\xbb\xbf" + GOOD, "bom.jsonl:1:1: the file starts with a byte order mark"),
    "cr.jsonl": (GOOD.replace(b"\n", b"\r"), "end lines with a line feed"),
    "nested.jsonl": (b'{"sales":' + b"[" * 100_000, "nested.jsonl:1:10: nested too deeply"),
    "array.jsonl": (b"[" + GOOD.replace(b"\n", b",\n") + b"{}]", "array.jsonl:1:1: a row must be a JSON object"),
    "\udcff.jsonl": (b"no row", "\\udcff.jsonl:1:1: a row must be a JSON object"),
    "\x1b[31m.jsonl": (b"no row", "\\x1b[31m.jsonl:1:1: a row must be a JSON object"),
    "[red]%#?.jsonl": (b"no row", "[red]%#?.jsonl:1:1: a row must be a JSON object"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_wrong_file_ends_in_a_sentence_that_names_file_and_fault(name: str, druid: StandIn, tmp_path: Path) -> None:
    content, words = WRONG_FILES[name]
    path = tmp_path / name if content is None else named(tmp_path, os.fsencode(name), content)
    code, output = run(druid, SPEC, "--data", path)
    assert code == 1
    assert words in output
    assert "\x1b" not in output
    assert druid.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.json"],
        ["."],
        [SPEC, "--overlord", "nonsense"],
        [SPEC, "--overlord", "http://[::1"],
        [SPEC, "--overlord", "http://127.0.0.1:99999"],
        [SPEC, "--data", HAND_COUNTED, "--serve-address", "nonsense:port"],
        [SPEC, "--data", HAND_COUNTED, "--serve-address", "192.0.2.1"],
        [SPEC, "--data", HAND_COUNTED, "--serve-address", "no.such.host.invalid"],
        [SPEC, "--data", HAND_COUNTED, "--no-wait"],
        [SPEC, "--catalog", "/nonexistent"],
        [ROOT / "ingestion-specs/chat_sessions.kafka.json", "--data", HAND_COUNTED],
        ["status"],
        ["status", ""],
        ["status", "\x1b[31m"],
        ["cancel", "\udcff"],
        ["stream", "watch", "x", "--every", "nan"],
    ],
)
def test_wrong_arguments_end_in_a_sentence(arguments: list[object], druid: StandIn) -> None:
    code, output = run(druid, *arguments)
    assert code in {1, 2}
    assert output
    assert "\x1b" not in output
