"""`make soak`: minutes of load on the real gateway and a real Druid, with random faults.

No answer may be wrong, every error must be one that docs/errors.md knows for such a fault, all must be well again after
each fault, and at the end nothing may be left: no task, no connection, no query in Druid, no memory.
"""

import asyncio
import json
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Annotated

import aiohttp
import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from druid.errors import ClusterError
from druid.services import Service
from gateway.druid.api.http import ServiceError
from gateway.ingest import IngestError
from tests.faults import served, toxiproxy, victim
from tests.faults.load import Load, Question, asking, known
from tests.faults.observed import Held
from tests.faults.outcome import RIGHT, WRONG
from tests.faults.served import Served
from tests.faults.toxiproxy import Proxy, ToxiproxyError
from tests.faults.trial import nothing_is_left
from tests.faults.victim import Victim

VAR = Path(__file__).parents[2] / "var" / "soak"
# Different from the ports of the tests' clusters, and below those of outgoing connections.
PORT_OFFSET = 24500
ORGANIZATIONS = 4
DEADLINE = 5.0
"""Seconds. Some faults last longer."""
ERRORS = frozenset(
    {
        "bad_upstream_answer",
        "upstream_unavailable",
        "data_unavailable",
        "timeout",
        "rate_limited",
        "too_many_requests",
    }
)
"""The error codes that faults of Druid explain. They explain neither `internal` nor a broken connection."""

console = Console(highlight=False, soft_wrap=True)
app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Scene:
    """The targets of faults: two routes to the broker, one to the coordinator, Druid itself, and callers."""

    brokers: tuple[Proxy, Proxy]
    coordinator: Proxy
    victim: Victim
    gateway: Served
    questions: Sequence[Question]
    random: Random


Fault = Callable[[Scene, float], Awaitable[None]]
"""Causes a fault for about so many seconds. A killed service may be away for longer."""


def _ways(scene: Scene) -> tuple[Proxy, ...]:
    """Select one route to the broker, or both."""
    return scene.random.choice([scene.brokers[:1], scene.brokers[1:], scene.brokers])


async def _refused(scene: Scene, seconds: float) -> None:
    async with AsyncExitStack() as stack:
        for way in _ways(scene):
            await stack.enter_async_context(way.refusing())
        await asyncio.sleep(seconds)


def _toxic(kind: str, attributes: Mapping[str, int]) -> Fault:
    async def suffer(scene: Scene, seconds: float) -> None:
        async with AsyncExitStack() as stack:
            for way in _ways(scene):
                await stack.enter_async_context(way.toxic(kind, stream="downstream", **attributes))
            await asyncio.sleep(seconds)

    return suffer


def _killed(service: Service) -> Fault:
    async def suffer(scene: Scene, _: float) -> None:
        await scene.victim.kill(service)
        await scene.victim.is_well()

    return suffer


def _frozen(service: Service) -> Fault:
    async def suffer(scene: Scene, seconds: float) -> None:
        scene.victim.signal(service, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            scene.victim.signal(service, signal.SIGCONT)

    return suffer


async def _coordinator_cut_off(scene: Scene, seconds: float) -> None:
    async with scene.coordinator.refusing():
        await asyncio.sleep(seconds)


async def _callers_leave(scene: Scene, seconds: float) -> None:
    """Send requests, and disconnect before the response."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds

    async def leave(session: aiohttp.ClientSession) -> None:
        while clock() < until:
            question = scene.random.choice(scene.questions)
            headers = {"Authorization": question.authorization}
            asked = asyncio.create_task(_asked(session, question.path, question.body, headers))
            await asyncio.wait([asked], timeout=scene.random.expovariate(50))
            asked.cancel()
            await asyncio.wait([asked])

    async with aiohttp.ClientSession(scene.gateway.url) as session:
        await asyncio.gather(*(leave(session) for _ in range(4)))


async def _asked(session: aiohttp.ClientSession, path: str, body: bytes, headers: Mapping[str, str]) -> None:
    async with session.post(path, data=body, headers=headers) as response:
        await response.read()


async def _rubbish_is_sent(scene: Scene, seconds: float) -> None:
    """Send invalid HTTP, invalid JSON, invalid reports, and incomplete requests."""
    host, port = scene.gateway.url.removeprefix("http://").split(":")
    until = asyncio.get_running_loop().time() + seconds
    question = scene.questions[0]
    head = f"POST {question.path} HTTP/1.1\r\nHost: x\r\nAuthorization: {question.authorization}\r\n".encode()
    while asyncio.get_running_loop().time() < until:
        rubbish = scene.random.choice(
            [
                scene.random.randbytes(200),
                head + b"Content-Length: 7\r\n\r\n" + scene.random.randbytes(7),
                head + b"Content-Length: 900\r\n\r\n" + question.body[:20],
                head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nno size\r\n",
            ]
        )
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(rubbish)
        await asyncio.sleep(0.02)
        writer.transport.abort()


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "refused": _refused,
        "slow": _toxic("latency", {"latency": 1500, "jitter": 500}),
        "a trickle": _toxic("bandwidth", {"rate": 20}),
        "stalled": _toxic("timeout", {"timeout": 0}),
        "reset": _toxic("reset_peer", {"timeout": 10}),
        "cut": _toxic("limit_data", {"bytes": 3000}),
        "broker killed": _killed(Service.BROKER),
        "broker frozen": _frozen(Service.BROKER),
        "historical killed": _killed(Service.HISTORICAL),
        "historical frozen": _frozen(Service.HISTORICAL),
        "coordinator killed": _killed(Service.COORDINATOR),
        "coordinator cut off": _coordinator_cut_off,
        "ZooKeeper killed": _killed(Service.ZOOKEEPER),
        "callers leave": _callers_leave,
        "rubbish is sent": _rubbish_is_sent,
    }
)


@dataclass(slots=True)
class Findings:
    """The results of a run. Memory is in bytes. `recoveries` has the longest recovery of each fault in seconds."""

    seed: int
    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    recoveries: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    right: int = 0
    wrong: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    unforeseen: dict[str, int] = field(default_factory=dict)
    memory_at_start: int = 0
    memory_at_end: int = 0
    tasks_at_start: int = 0
    tasks_at_end: int = 0
    left_behind: str = ""

    def count(self, load: Load) -> None:
        """Count the responses of callers."""
        codes = Counter(each.code for each in load.timeline)
        self.requests = codes.total()
        self.right, self.wrong = codes.pop(RIGHT, 0), codes.pop(WRONG, 0)
        self.errors = {code: count for code, count in codes.most_common() if code in ERRORS}
        self.unforeseen = {code: count for code, count in codes.items() if code not in ERRORS}

    @property
    def complaints(self) -> list[str]:
        """Return the failures; a good run has none."""
        found = []
        if self.wrong:
            found.append(f"{self.wrong} wrong answers")
        if self.unforeseen:
            found.append(f"errors that no fault of Druid's explains: {self.unforeseen}")
        if self.left_behind:
            found.append(self.left_behind)
        if self.tasks_at_end > self.tasks_at_start:
            found.append(f"{self.tasks_at_end - self.tasks_at_start} tasks leaked")
        if not self.right:
            found.append("nothing was answered")
        return found

    def table(self) -> str:
        """Return them as Markdown."""
        memory = self.memory_at_start / (1 << 20), self.memory_at_end / (1 << 20)
        rows = [
            ("Requests", f"{self.requests:,} in {self.seconds:,.0f} s, of {ORGANIZATIONS} organizations"),
            ("Faults", ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))),
            ("Right answers", f"{self.right:,}"),
            ("Wrong answers", str(self.wrong)),
            ("Errors", ", ".join(f"{count:,} `{code}`" for code, count in self.errors.items()) or "none"),
            ("Longest until all was right again", _longest(self.recoveries)),
            ("Memory at the start and the end", f"{memory[0]:.0f} and {memory[1]:.0f} MiB"),
            ("Tasks at the start and the end", f"{self.tasks_at_start} and {self.tasks_at_end}"),
        ]
        return "".join(f"| {name} | {value} |\n" for name, value in [("", f"seed {self.seed}"), ("---", "---"), *rows])


def _longest(recoveries: Mapping[str, float]) -> str:
    worst = sorted(recoveries.items(), key=lambda each: -each[1])[:5]
    return ", ".join(f"{seconds:.1f} s ({name})" for name, seconds in worst)


@asynccontextmanager
async def _scene(seed: int, folder: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        console.print("Toxiproxy, and a Druid with sample data (a minute or two) …")
        toxic = await stack.enter_async_context(toxiproxy.running())
        hurt = await stack.enter_async_context(victim.running("test-soak", PORT_OFFSET))
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


async def _soak(seconds: float, seed: int, folder: Path) -> Findings:
    clock = asyncio.get_running_loop().time
    findings = Findings(seed)
    async with _scene(seed, folder) as scene:
        process = psutil.Process(scene.gateway.pid)
        # After the warm-up, resource usage should not grow.
        async with asking(scene.gateway.url, scene.questions) as load:
            await load.until_right(500)
        before = await _settled(scene.gateway)
        findings.tasks_at_start, findings.memory_at_start = sum(before.tasks.values()), process.memory_info().rss
        began = clock()
        columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("", total=seconds)
            async with asking(scene.gateway.url, scene.questions) as load:
                while (gone := clock() - began) < seconds:
                    name = scene.random.choice(list(FAULTS))
                    text = f"{len(load.timeline):,} answers, {len(load.wrong)} wrong; {name}"
                    progress.update(bar, completed=gone, description=text)
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
        (VAR / "gateway.jsonl").write_bytes(scene.gateway.log.read_bytes())
    return findings


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
            findings = asyncio.run(_soak(minutes * 60, chosen, Path(folder)))
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
