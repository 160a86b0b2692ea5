"""`make soak`: minutes of load on the real gateway and a real Druid, with random faults.

No answer may be wrong, every error must be one that docs/errors.md knows for such a fault, all must be well again after
each fault, and at the end nothing may be left: no task, no connection, no query in Druid, no memory.
`make test` soaks for a minute.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from druid.errors import ClusterError
from gateway.druid.api.http import ServiceError
from gateway.ingest import IngestError
from tests.faults import served, toxiproxy, victim
from tests.faults.findings import ORGANIZATIONS, Findings
from tests.faults.load import asking, known
from tests.faults.observed import Held
from tests.faults.random_faults import FAULTS, Scene
from tests.faults.served import Served
from tests.faults.toxiproxy import Toxiproxy, ToxiproxyError
from tests.faults.trial import nothing_is_left
from tests.faults.victim import Victim

VAR = Path(__file__).parents[2] / "var" / "soak"
# Different from the ports of the tests' clusters, and below those of outgoing connections.
PORT_OFFSET = 24500
LOG = "gateway.jsonl"
"""The file with what the gateway logged."""
DEADLINE = 5.0
"""Seconds. Some faults last longer."""

console = Console(highlight=False, soft_wrap=True)
app = typer.Typer(add_completion=False)


@asynccontextmanager
async def _scene(seed: int, folder: Path, toxic: Toxiproxy, hurt: Victim) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        broker, coordinator = (f"127.0.0.1:{port}" for port in (hurt.druid.ports.broker, hurt.druid.ports.coordinator))
        one = await stack.enter_async_context(toxic.before(broker))
        other = await stack.enter_async_context(toxic.before(broker))
        way = await stack.enter_async_context(toxic.before(coordinator))
        gateway = await stack.enter_async_context(
            served.serving(
                folder,
                hurt.organizations[:ORGANIZATIONS],
                druid_broker_url=f"{one.url},{other.url}",
                druid_coordinator_url=way.url,
                coverage_period=1,
                request_timeout=DEADLINE,
            )
        )
        yield Scene(
            (one, other), way, hurt, gateway, await known(gateway.url, gateway.tokens), Random(seed)
        )  # fmt: skip


async def soak(
    seconds: float,
    seed: int,
    folder: Path,
    toxic: Toxiproxy,
    hurt: Victim,
    *,
    on_progress: Callable[[float, str], None],
) -> Findings:
    """Cause random faults for so many seconds. `on_progress` gets the seconds so far, and a text.

    What the gateway logged is then in `folder`, in the file LOG.
    """
    clock = asyncio.get_running_loop().time
    findings = Findings(seed)
    async with _scene(seed, folder, toxic, hurt) as scene:
        process = psutil.Process(scene.gateway.pid)
        # After the warm-up, resource usage should not grow.
        async with asking(scene.gateway.url, scene.questions) as load:
            await load.until_right(500)
        before = await _settled(scene.gateway)
        findings.tasks_at_start, findings.memory_at_start = sum(before.tasks.values()), process.memory_info().rss
        began = clock()
        async with asking(scene.gateway.url, scene.questions) as load:
            while (gone := clock() - began) < seconds:
                name = scene.random.choice(list(FAULTS))
                on_progress(gone, f"{len(load.timeline):,} answers, {len(load.wrong)} wrong; {name}")
                await FAULTS[name](scene, scene.random.uniform(0.5, 8))
                over = clock()
                await load.until_right()
                findings.faults[name] = findings.faults.get(name, 0) + 1
                findings.recoveries[name] = max(findings.recoveries.get(name, 0.0), clock() - over)
                await asyncio.sleep(scene.random.uniform(0, 2))
        findings.seconds = clock() - began
        findings.count(load)
        for body, answer in load.wrong[:10]:
            console.print(f"WRONG: {body.decode()}\n       {answer[:2000].decode()}", markup=False)
        try:
            await nothing_is_left(scene.gateway, before, scene.victim)
        except TimeoutError as error:
            findings.left_behind = str(error)
        held = await scene.gateway.held()
        findings.tasks_at_end, findings.memory_at_end = sum(held.tasks.values()), process.memory_info().rss
        (folder / LOG).write_bytes(scene.gateway.log.read_bytes())
    return findings


async def _alone(seconds: float, seed: int, folder: Path) -> Findings:
    """Soak with a Druid of its own, and show the progress."""
    console.print("Toxiproxy, and a Druid with sample data (a minute or two) …")
    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    async with toxiproxy.running() as toxic, victim.running("test-soak", PORT_OFFSET) as hurt:
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("", total=seconds)
            return await soak(
                seconds,
                seed,
                folder,
                toxic,
                hurt,
                on_progress=lambda gone, text: progress.update(bar, completed=gone, description=text),
            )


async def _settled(gateway: Served) -> Held:
    """Return the resources of the idle gateway, after it has closed the connections of former callers."""
    last, held = None, await gateway.held()
    while last is None or not held.is_idle() or held.tasks != last.tasks:
        await asyncio.sleep(0.5)
        last, held = held, await gateway.held()
    return held


@app.command()
def main(
    *,
    minutes: Annotated[float, typer.Option(min=0.1, max=600, help="Duration in minutes.")] = 10,
    seed: Annotated[
        int | None, typer.Option(help="Seed: the same one gives the same faults in the same order.")
    ] = None,
) -> None:
    """Send requests to a gateway with a separate Druid for minutes, under random faults.

    The exit code is 0 when no answer was wrong, each error was one that such faults explain, and nothing was left
    behind. Reports: var/soak/report.md and report.json; what the gateway logged: var/soak/gateway.jsonl.
    """
    VAR.mkdir(parents=True, exist_ok=True)
    chosen = Random().randrange(1_000_000) if seed is None else seed
    try:
        with tempfile.TemporaryDirectory() as folder:
            findings = asyncio.run(_alone(minutes * 60, chosen, Path(folder)))
            (VAR / LOG).write_bytes((Path(folder) / LOG).read_bytes())
    except (ClusterError, IngestError, ServiceError, ToxiproxyError) as error:
        console.print(str(error), style="bold red", markup=False)
        raise typer.Exit(2) from error
    (VAR / "report.md").write_text(findings.table())
    (VAR / "report.json").write_text(json.dumps({**asdict(findings), "complaints": findings.complaints}, indent=2))
    console.print(findings.table(), markup=False)
    for complaint in findings.complaints:
        console.print(f"!!! {complaint}", style="bold red", markup=False)
    console.print(f"{VAR}/report.md and report.json hold this.")
    sys.exit(bool(findings.complaints))


if __name__ == "__main__":
    app()
