"""The supervisor of workers that do not start. A program that behaves as told takes the place of Python."""

import asyncio
import sys
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from gateway.cli import supervisor
from gateway.cli.supervisor import WorkersFailed
from gateway.telemetry.worker_metrics import WorkerMetrics
from tests.faults.waiting import until
from tests.serving import settings_for

# Its last argument is the text form of Place: number/workers:supervisor:listeners.
WORKER = """\
import os, pathlib, signal, sys, time
behavior = pathlib.Path("{behavior}").read_text()
if behavior == "fails":
    sys.exit(3)
if behavior == "hangs":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    os.write(int(sys.argv[-1].split(":")[1]), b"+")
time.sleep(600)
"""


@pytest.fixture
def behavior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that says what a worker does: it serves, hangs or fails."""
    behavior = tmp_path / "behavior"
    behavior.write_text("serves")
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable} -IS\n{WORKER.format(behavior=behavior)}")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(supervisor, "_START_SECONDS", 2.0)
    monkeypatch.setattr(supervisor, "_EXIT_SECONDS", 0.5)
    monkeypatch.setattr(supervisor, "_EXTRA_SECONDS", 0.5)
    return behavior


@pytest.fixture
async def running(behavior: Path, tmp_path: Path) -> AsyncIterator[supervisor._Supervisor]:  # noqa: ARG001 - workers
    """A supervisor whose two workers serve."""
    settings = settings_for(tmp_path, "http://127.0.0.1:1", shutdown_timeout=0)
    listeners = supervisor._listeners("127.0.0.1", 0)
    running = supervisor._Supervisor(settings, 2, listeners, WorkerMetrics(str(tmp_path)))
    task = asyncio.create_task(running.run())

    async def are_used() -> bool:
        return len(running._current) == 2

    await until(are_used)
    yield running
    running._stop.set()
    await task
    for listener in listeners:
        listener.close()


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@pytest.mark.parametrize(("does", "code"), [("hangs", 1), ("fails", 3)])
def test_workers_that_do_not_start_are_stopped(does: str, code: int, behavior: Path, tmp_path: Path) -> None:
    behavior.write_text(does)
    before, began = _children(), monotonic()
    with pytest.raises(WorkersFailed) as failed:
        supervisor.supervise(settings_for(tmp_path, "http://127.0.0.1:1", shutdown_timeout=0), 2)
    assert failed.value.code == code
    assert monotonic() - began < 30
    assert _children() == before


async def test_a_failed_restart_leaves_nothing_behind(running: supervisor._Supervisor, behavior: Path) -> None:
    workers, processes, descriptors = {*running._running}, _children(), psutil.Process().num_fds()
    for does in ("fails", "hangs", "fails"):
        await asyncio.to_thread(behavior.write_text, does)
        with capture_logs() as lines:
            running._restart.set()

            async def has_failed(lines: list[MutableMapping[str, Any]] = lines) -> bool:
                return [line["event"] for line in lines] == ["workers_not_restarted"]

            await until(has_failed)

            async def is_forgotten() -> bool:
                return running._running == workers

            await until(is_forgotten, seconds=30)
        assert {*running._metrics._processes} == {worker.process.pid for worker in workers}
        assert _children() == processes
    assert psutil.Process().num_fds() == descriptors


async def test_a_worker_that_does_not_end_delays_no_restart(running: supervisor._Supervisor) -> None:
    before = {*running._running}
    for worker in before:
        psutil.Process(worker.process.pid).suspend()
    running._restart.set()

    async def are_replaced() -> bool:
        return len(running._running) == 2 and not before & running._running

    await until(are_replaced, seconds=60)
