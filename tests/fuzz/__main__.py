"""Send a million inputs to a gateway over HTTP: python -m tests.fuzz [--inputs N].

Each target runs in its own process and begins with the golden cases and with earlier findings. A finding is stored in
var/fuzz. Once the fault is fixed, move it to tests/fuzz/found/TARGET, where every run tries it again.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from rich.console import Console
from rich.progress import Progress

from gateway.query.limits import Limits
from gateway.query.schema import report_schema
from gateway.settings import Settings
from tests.datasets import CHAT_SESSIONS
from tests.fuzz.seeds import seeds

ROOT = Path(__file__).parents[2]
VAR = ROOT / "var" / "fuzz"
SHARES = {"body": 0.5, "headers": 0.25, "request": 0.25}
INSTRUMENTED_STALL_SECONDS = "0.2"
_RUNS = re.compile(rb"(?:^|\n)#(\d+)\t|Done (\d+) runs")
_STORY = "=== Uncaught Python exception: ==="
_LONGEST = Settings.model_fields["max_body_bytes"].default


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--inputs", type=int, default=1_000_000, help="how many inputs (%(default)s)")
    given = options.parse_args()
    began = perf_counter()
    # Without a terminal, such as in a log file, findings and totals are printed, but no bars.
    with Progress(console=Console()) as progress:
        found = asyncio.run(_all(given.inputs, progress))
    inputs, findings = sum(tried for tried, _ in found), sum(failed for _, failed in found)
    print(f"{inputs} inputs, {perf_counter() - began:.0f} seconds, {findings} findings")
    return 1 if findings or inputs < given.inputs else 0


async def _all(inputs: int, progress: Progress) -> list[tuple[int, bool]]:
    return await asyncio.gather(*(_one(target, round(inputs * share), progress) for target, share in SHARES.items()))


async def _one(target: str, inputs: int, progress: Progress) -> tuple[int, bool]:
    """Return how many inputs were tried, and whether there is a finding. Print it: a traceback and the input's path."""
    bar = progress.add_task(target, total=inputs)
    with TemporaryDirectory() as folder:
        done, story = await _fuzz(target, inputs, Path(folder), lambda done: progress.update(bar, completed=done))
    progress.console.print(f"{target}: {done} inputs\n{story}".strip(), markup=False, highlight=False)
    return done, bool(story)


async def _fuzz(target: str, inputs: int, folder: Path, on_progress: Callable[[int], None]) -> tuple[int, str]:
    corpus = folder / "corpus"
    corpus.mkdir()
    VAR.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f"{json.dumps(word)}\n" for word in _words()))
    options = [f"-runs={inputs}", f"-max_len={_LONGEST}", f"-dict={words}", f"-artifact_prefix={VAR}/{target}-"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fuzz.fuzzer", target, *options, corpus, cwd=ROOT, stdout=PIPE, stderr=STDOUT,
        env={**os.environ, "FUZZ_STALL_SECONDS": INSTRUMENTED_STALL_SECONDS},
    )  # fmt: skip
    assert process.stdout is not None
    done, told = 0, b""
    while chunk := await process.stdout.read(1 << 16):
        told = told[-10_000:] + chunk
        done = max([done, *(int(first or last) for first, last in _RUNS.findall(told))])
        on_progress(done)
    if await process.wait() == 0:
        return done, ""
    _, _, story = told.decode(errors="replace").rpartition(_STORY)
    return done, f"{_STORY}{story}"


def _words() -> set[str]:
    """Return the names of the schema, in quotes."""
    found: set[str] = set()

    def collect(node: object) -> None:
        if isinstance(node, dict):
            found.update(node.get("properties", ()))
            found.update(each for each in node.get("enum", ()) if isinstance(each, str))
            for each in node.values():
                collect(each)
        elif isinstance(node, list):
            for each in node:
                collect(each)

    collect(report_schema(CHAT_SESSIONS, Limits()))
    return {json.dumps(word) for word in found if word.isascii()}


if __name__ == "__main__":
    sys.exit(main())
