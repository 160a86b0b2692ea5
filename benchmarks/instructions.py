"""How many instructions a request costs: the gateway, the minimal one, and another checkout of the gateway (--before).

CPU time differs by ten percent from run to run on a busy machine. Instructions, counted by valgrind, differ by a few
thousandths, so that even a small change can be judged. The kernel's are not among them; they are about the same for
every server. A stand-in that answers at once takes Druid's place. Needs valgrind; takes about three minutes.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import contenders, measure
from benchmarks.command import BenchError, run
from benchmarks.contenders import ROOT, Contender
from benchmarks.measure import Requests
from benchmarks.questions import ALL_QUESTIONS, Question

WARM_UP = 200
COUNTED = 200
"""Requests that are sent before and while instructions are counted."""
_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(help=__doc__)
def main(
    before: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, resolve_path=True, help="Another checkout, with .venv.")
    ] = None,
) -> None:
    # The same order of sets in each run; and valgrind does not know io_uring.
    os.environ |= {"PYTHONHASHSEED": "0", "UV_USE_IO_URING": "0"}
    checkouts = {"before": before, "gateway": ROOT} if before else {"gateway": ROOT}
    cases = [(each, repeated) for repeated in (False, True) for each in ALL_QUESTIONS if each.rows is None]
    counts = {name: list(_counted(name, checkouts.get(name), cases)) for name in ("minimal", *checkouts)}
    print(f"| thousand instructions per request (relative to minimal) | {' | '.join(counts)} |")
    print(f"|---{'|---:' * len(counts)}|")
    for number, (question, repeated) in enumerate(cases):
        cells = [f"{count[number]:,.0f} ({count[number] / counts['minimal'][number]:.2f})" for count in counts.values()]
        print(f"| {question.title}{', repeated' if repeated else ''} | {' | '.join(cells)} |")


def _counted(name: str, checkout: Path | None, cases: list[tuple[Question, bool]]) -> Iterator[float]:
    """Yield how many thousand instructions a request of each case costs a server."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        with contenders.canned_druid(folder / "canned.log") as druid, _start(name, checkout, druid, folder) as server:
            for question, repeated in cases:
                requests = Requests(question, json.dumps(question.report))
                numbers = itertools.repeat(1) if repeated else itertools.count()
                measure.ask_in_turn(server, requests, itertools.islice(numbers, WARM_UP))
                _control(server, "--instr=on")
                measure.ask_in_turn(server, requests, itertools.islice(numbers, COUNTED))
                _control(server, "--instr=off")
                _control(server, "--dump")
                # Each dump is a file of its own, and has what was counted since the one before.
                [dump] = folder.glob("instructions.*")
                yield sum(map(int, _TOTALS.findall(dump.read_text(errors="replace")))) / COUNTED / 1000
                dump.unlink()


def _start(name: str, checkout: Path | None, druid: str, folder: Path) -> AbstractContextManager[Contender]:
    if shutil.which("valgrind") is None:
        raise BenchError("valgrind is not installed. On Debian and Ubuntu: apt-get install valgrind")
    under = (
        "valgrind",
        "--quiet",
        "--tool=callgrind",
        "--instr-atstart=no",
        f"--callgrind-out-file={folder}/instructions",
    )
    if checkout is None:
        return contenders.minimal_gateway(druid, folder, under=under)
    return contenders.gateway(name, checkout, druid, druid, folder, under=under)


def _control(server: Contender, command: str) -> None:
    control = shutil.which("callgrind_control") or "callgrind_control"
    done = subprocess.run([control, command, str(server.pid)], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise BenchError(f"callgrind_control failed: {done.stderr or done.stdout}")


if __name__ == "__main__":
    run(app)
